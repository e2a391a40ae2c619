// Single requests to the server's JSON-RPC 2.0 interface.

import { parseMessage } from "./protocol.js";

/** Ask the server to do something; resolves with the result, rejects with the server's own words. */
export function control(address, method, params) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address("/ws/control"));
    socket.onopen = () => socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    socket.onclose = ({ reason }) => reject(new Error(reason || "the server closed the connection"));
    socket.onmessage = ({ data }) => {
      const reply = JSON.parse(data);
      if (reply.type === "error") reject(new Error(parseMessage(data).message));
      if (reply.id !== 1) return;
      if (reply.error) reject(new Error(reply.error.message));
      else resolve(reply.result);
      socket.close();
    };
  });
}
