/** Methods, versions, and requests that wait for word to go on. */
import { ask, collection, core, create, made, object, type RawGroup } from "./asking.ts";
import type { RawRequest } from "./raw-request.ts";

const documents = ["/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/version"];
const pages = [
  ...documents,
  "/",
  "/healthz",
  "/livez",
  "/readyz/ping",
  "/healthz/nothing",
  "/.well-known/openid-configuration",
  "/openid/v1/jwks",
  "/nothing",
  "/apis/nothing.example.com/v1/nothings",
  "/favicon.ico",
  "/debug",
  "/logs",
  "/logs/",
  "/ui",
  "/statusz",
  "/flagz",
  "/configz",
];
const places = [...pages, object, collection, `${object}/nothing`, `${core}/pods/nobody/log`, `${core}/status`];
const methods = [
  "HEAD",
  "OPTIONS",
  "TRACE",
  "PUT",
  "POST",
  "PATCH",
  "DELETE",
  "PROPFIND",
  "NOTHING",
  "get",
  "QUERY",
  "LINK",
];

const byMethod: readonly RawRequest[] = (["http/1.1", "h2"] as const).flatMap((over) => [
  ...places.flatMap((target) => [
    ...methods
      // What these delete or change is no dry run; they are asked with bodies elsewhere.
      .filter((method) => target.startsWith(core) === false || !/^(PUT|POST|PATCH|DELETE)$/.test(method))
      .map((method) => ask("method", method, target, { over })),
    ask("plain", "GET", target, { over }),
    ask("of nobody", "GET", target, { over, anonymous: true }),
    ask("of nobody known", "GET", target, { over, anonymous: true, headers: [["Authorization", "Bearer nonsense"]] }),
  ]),
  ask("method", "CONNECT", object, { over }),
  ask("cors", "OPTIONS", object, {
    over,
    headers: [
      ["Origin", "https://example.com"],
      ["Access-Control-Request-Method", "PUT"],
    ],
  }),
  ask("cors", "GET", object, { over, headers: [["Origin", "https://example.com"]] }),
]);
const oddMethods: readonly RawRequest[] = [
  ask("method", "CONNECT", "localhost:443"),
  ask("method", "OPTIONS", "*"),
  ask("method", "GET", "*"),
  ask("method", "X".repeat(100), object),
  ask("method", "G(T", object),
  ask("method", "GÉT", object),
  ask("method", "", object),
  ask("method", "PRI", "*", { version: "HTTP/2.0" }),
  ...[
    "",
    "HTTP/0.9",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/3",
    "HTTP/1",
    "http/1.1",
    "HTTPS/1.1",
    "HTTP/1.1 more",
  ].map((version) => ask(`version ${version}`, "GET", object, { version })),
];

const expectations: readonly RawRequest[] = [
  create("expecting", { headers: [["Expect", "100-continue"]], waits: true }),
  create("expecting in capitals", { headers: [["Expect", "100-CONTINUE"]], waits: true }),
  create("expecting and not waiting", { headers: [["Expect", "100-continue"]] }),
  create("expecting too much", {
    headers: [["Expect", "100-continue"]],
    waits: true,
    body: " ".repeat(4_000_000),
  }),
  create("expecting without body", {
    headers: [
      ["Expect", "100-continue"],
      ["Content-Length", "0"],
    ],
    body: "",
  }),
  create("expecting nowhere", { headers: [["Expect", "100-continue"]], waits: true }, "/nothing"),
  create("expecting of an unknown kind", { headers: [["Expect", "100-continue"]], waits: true }, `${core}/nothings`),
  create("expecting of no known type", {
    headers: [
      ["Expect", "100-continue"],
      ["content-type", "text/plain"],
    ],
    waits: true,
  }),
  create("expecting as nobody", { headers: [["Expect", "100-continue"]], waits: true, anonymous: true }),
  create("expecting as nobody known", {
    headers: [
      ["Expect", "100-continue"],
      ["Authorization", "Bearer nonsense"],
    ],
    waits: true,
    anonymous: true,
  }),
  create("expecting in chunks", {
    headers: [
      ["Expect", "100-continue"],
      ["Transfer-Encoding", "chunked"],
    ],
    waits: true,
    body: `${made.length.toString(16)}\r\n${made}\r\n0\r\n\r\n`,
  }),
  create("expecting something else", { headers: [["Expect", "200-ok"]] }),
  create("expecting twice", { headers: [["Expect", "100-continue, 100-continue"]] }),
  create("expecting by HTTP/1.0", { headers: [["Expect", "100-continue"]], version: "HTTP/1.0" }),
  ask("expecting", "GET", object, { headers: [["Expect", "100-continue"]] }),
  ask("expecting", "GET", "/nothing", { headers: [["Expect", "100-continue"]] }),
  create("expecting by HTTP/2", { headers: [["Expect", "100-continue"]], over: "h2" }),
];

export const methodGroups: readonly RawGroup[] = [
  { name: "methods", requests: [...byMethod, ...oddMethods] },
  { name: "expectations", requests: expectations },
];
