// What the form of a camera means to the server, and which field the server's complaint is about. Pure.

const SERVER_FIELDS = ["url", "name", "max_rate", "detect_every", "rtsp_transport", "region"];

/** What is wrong with what was typed: {field: why}, empty when it may be sent. `values` are the fields' texts. */
export function whatIsWrong(values, { adding, region }) {
  const wrong = {};
  if (!values.url) wrong.url = "A camera needs an address.";
  else if (values.url !== values.known && values.url.includes("***")) wrong.url = "Write the user and the password again: *** stands for them.";
  if (adding && values.name && /[\s/\\?#%]/.test(values.name)) wrong.name = "A name has no spaces, slashes, or ? # %.";
  if (values.max_rate !== "" && !(Number(values.max_rate) > 0)) wrong.max_rate = "This is a number above 0, or nothing.";
  if (!/^(auto|[1-9]\d*)?$/.test(values.detect_every)) wrong.detect_every = "This is auto, or a whole number from 1.";
  if (region) wrong.region = region;
  return wrong;
}

/** The parameters of `sources.add`; or those of `sources.update` with `before`, the source as it was: what has changed. */
export function parametersOf(values, region, before = null) {
  const params = {
    max_rate: values.max_rate === "" ? null : Number(values.max_rate),
    detect_every: values.detect_every === "" ? null : values.detect_every === "auto" ? "auto" : Number(values.detect_every),
    rtsp_transport: values.rtsp_transport || null,
    region,
    events: values.events,
    clips: values.clips,
  };
  if (before) {
    const is = (key, value) => JSON.stringify(value) === JSON.stringify(before.options?.[key] ?? null);
    const changed = Object.entries(params).filter(([key, value]) => !is(key, value));
    return { name: before.name, ...(values.url !== values.known && { url: values.url }), ...Object.fromEntries(changed) };
  }
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== true);
  return { url: values.url, ...(values.name && { name: values.name }), ...Object.fromEntries(given) };
}

/** The field that the server's words are about, or null: then they go below the whole form. */
export function fieldOf({ message, code, data }) {
  if (SERVER_FIELDS.includes(data?.field)) return data.field;
  const named = SERVER_FIELDS.find((field) => new RegExp(`(\\$\\.|\\b)${field}\\b`).test(message));
  if (named && named !== "name" && named !== "url") return named;
  if (/\$\.name\b|\bname\b|called/i.test(message)) return "name";
  if (code === -32003 || /rtsp|https?:|address|host|scheme|url|camera/i.test(message)) return "url";
  return null;
}
