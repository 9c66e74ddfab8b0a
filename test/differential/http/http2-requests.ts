/** Requests of HTTP/2 alone. */
import { ask, create, type More, made, object, type RawGroup } from "./asking.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const usual = (path = object): Header[] => [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "localhost"],
  [":path", path],
];
const without = (name: string): Header[] => usual().filter(([each]) => each !== name);
const instead = (name: string, value: string): Header[] =>
  usual().map(([each, old]) => [each, each === name ? value : old]);
const twoPointed = (what: string, more: More): RawRequest => ask(what, "GET", object, { ...more, over: "h2" });
const http2: readonly RawRequest[] = [
  ...[":method", ":scheme", ":authority", ":path"].flatMap((name) => [
    twoPointed(`without ${name}`, { pseudo: without(name) }),
    twoPointed(`empty ${name}`, { pseudo: instead(name, "") }),
    twoPointed(`${name} twice`, { pseudo: [...usual(), [name, usual().find(([each]) => each === name)?.[1] ?? ""]] }),
  ]),
  twoPointed("a path without slash", { pseudo: instead(":path", "api/v1") }),
  twoPointed("a path of *", { pseudo: instead(":path", "*") }),
  twoPointed("a whole path", { pseudo: instead(":path", `https://localhost${object}`) }),
  twoPointed("a scheme of http", { pseudo: instead(":scheme", "http") }),
  twoPointed("a scheme of nonsense", { pseudo: instead(":scheme", "nonsense") }),
  twoPointed("a bad authority", { pseudo: instead(":authority", "a b") }),
  twoPointed("another authority", { pseudo: instead(":authority", "other:1") }),
  twoPointed("an unknown pseudo-header", { pseudo: [...usual(), [":nothing", "x"]] }),
  twoPointed("a status", { pseudo: [...usual(), [":status", "200"]] }),
  twoPointed("pseudo-headers last", { pseudo: [["x-a", "b"], ...usual()] }),
  twoPointed("a host besides", { headers: [["Host", "other"]] }),
  twoPointed("a host alone", { pseudo: without(":authority"), headers: [["Host", "other"]] }),
  twoPointed("capitals in a name", { headers: [["=X-A", "b"]] }),
  twoPointed("a space in a name", { headers: [["=x a", "b"]] }),
  twoPointed("an empty name", { headers: [["=", "b"]] }),
  twoPointed("NUL in a value", { headers: [["x-a", "a\u0000b"]] }),
  twoPointed("a newline in a value", { headers: [["x-a", "a\nb"]] }),
  twoPointed("spaces about a value", { headers: [["x-a", " b "]] }),
  twoPointed("connection: close", { headers: [["Connection", "close"]] }),
  twoPointed("connection: keep-alive", { headers: [["Connection", "keep-alive"]] }),
  twoPointed("upgrade", { headers: [["Upgrade", "websocket"]] }),
  twoPointed("transfer-encoding", { headers: [["Transfer-Encoding", "chunked"]] }),
  twoPointed("te: trailers", { headers: [["TE", "trailers"]] }),
  twoPointed("te: gzip", { headers: [["TE", "gzip"]] }),
  twoPointed("proxy-connection", { headers: [["Proxy-Connection", "keep-alive"]] }),
  twoPointed("a length without a body", { headers: [["Content-Length", "5"]] }),
  twoPointed("a length of nothing", { headers: [["Content-Length", "0"]] }),
  twoPointed("a bad length", { headers: [["Content-Length", "x"]] }),
  twoPointed("a large header", { headers: [["x-big", "y".repeat(100_000)]] }),
  twoPointed("a huge header", { headers: [["x-huge", "y".repeat(2_000_000)]] }),
  twoPointed("many headers", { headers: Array.from({ length: 1_500 }, (_, index): Header => [`x-${index}`, "y"]) }),
  twoPointed("a split cookie", {
    headers: [
      ["Cookie", "a=b"],
      ["Cookie", "c=d"],
    ],
  }),
  twoPointed("a body", { body: "{}" }),
  create("of that length", { over: "h2", headers: [["Content-Length", String(made.length)]] }),
  create("too long", { over: "h2", headers: [["Content-Length", "5"]] }),
  create("too short", { over: "h2", headers: [["Content-Length", "5000"]] }),
  create("of no length", { over: "h2", body: "" }),
  create("with trailers", { over: "h2", trailers: [["x-after", "1"]] }),
  create("with pseudo-headers in trailers", { over: "h2", trailers: [[":path", "/"]] }),
  create("with capitals in trailers", { over: "h2", trailers: [["X-After", "1"]] }),
  ask("connect", "CONNECT", object, {
    over: "h2",
    pseudo: [
      [":method", "CONNECT"],
      [":authority", "localhost:1"],
    ],
  }),
  ask("extended connect", "CONNECT", object, {
    over: "h2",
    pseudo: [[":method", "CONNECT"], [":protocol", "websocket"], ...usual().slice(1)],
  }),
];

export const http2Groups: readonly RawGroup[] = [{ name: "HTTP/2", requests: http2 }];
