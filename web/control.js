// Single requests to the server's JSON-RPC 2.0 interface.

import { openSocket } from "./access.js";
import { parseMessage } from "./protocol.js";

const ANSWER_WITHIN = 30_000; // milliseconds; to open a camera may take a while

/** What the server said against a request; `code` is JSON-RPC's, or null where the connection itself was refused. */
export class RequestError extends Error {
  constructor(message, code = null, data = null) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** Ask the server to do something; resolves with the result, rejects with the server's own words. */
export function control(address, method, params) {
  return new Promise((resolve, reject) => {
    const socket = openSocket(address("/ws/control"));
    const timer = setTimeout(() => {
      reject(new RequestError("the server doesn't answer; try again"));
      socket.close();
    }, ANSWER_WITHIN);
    socket.onopen = () => socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    socket.onclose = ({ reason }) => {
      clearTimeout(timer);
      reject(new RequestError(reason || "the server closed the connection; your token may not allow this"));
    };
    socket.onmessage = ({ data }) => {
      const reply = JSON.parse(data);
      if (reply.type === "error") reject(new RequestError(parseMessage(data).message));
      if (reply.id !== 1) return;
      if (reply.error) reject(new RequestError(reply.error.message, reply.error.code, reply.error.data));
      else resolve(reply.result);
      socket.close();
    };
  });
}
