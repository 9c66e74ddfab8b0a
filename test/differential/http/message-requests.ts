/** Messages of HTTP/1.1: where a body ends, connections, hosts, and headers of any sort. */
import { ask, collection, core, create, dryRun, json, made, object, type RawGroup } from "./asking.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const chunks = (text: string, trailers = ""): string =>
  `${text.length.toString(16)}\r\n${text}\r\n0\r\n${trailers}\r\n`;
const chunked: Header = ["Transfer-Encoding", "chunked"];
const framed: readonly RawRequest[] = [
  create("of no length", { headers: [["Content-Length", "0"]], body: "" }),
  ask("without length", "POST", dryRun, { headers: [json] }),
  ask("without length", "PUT", object, { headers: [json] }),
  ask("without length", "PATCH", object, { headers: [["Content-Type", "application/merge-patch+json"]] }),
  create("too short", { headers: [["Content-Length", String(made.length + 10)]], ends: true }),
  create("cut", { headers: [["Content-Length", "10"]] }),
  ...["+5", "-1", "x", "1e3", "0x5", "5 5", "5, 5", "99999999999999999999", ""].map((length) =>
    create(`of length ${length}`, { headers: [["Content-Length", length]], body: "" }),
  ),
  create("of one length twice", {
    headers: [
      ["Content-Length", String(made.length)],
      ["Content-Length", String(made.length)],
    ],
  }),
  create("of two lengths", {
    headers: [
      ["Content-Length", String(made.length)],
      ["Content-Length", "5"],
    ],
  }),
  create("in chunks", { headers: [chunked], body: chunks(made) }),
  create("in chunks with extensions", { headers: [chunked], body: chunks(made).replace("\r\n", ";a=b\r\n") }),
  create("in chunks with trailers", {
    headers: [chunked, ["Trailer", "X-After"]],
    body: chunks(made, "X-After: 1\r\n"),
  }),
  create("in chunks with odd trailers", { headers: [chunked], body: chunks(made, "Content-Length: 1\r\n") }),
  create("in chunks with a length", { headers: [chunked, ["Content-Length", "5"]], body: chunks(made) }),
  create("in chunks of nothing", { headers: [chunked], body: "0\r\n\r\n" }),
  create("in bad chunks", { headers: [chunked], body: "xyz\r\n" }),
  create("in chunks that end early", { headers: [chunked], body: "ff\r\n{}", ends: true }),
  create("in chunks in capitals", { headers: [["Transfer-Encoding", "CHUNKED"]], body: chunks(made) }),
  ...["gzip", "identity", "gzip, chunked", "chunked, chunked", "chunked, gzip", ""].map((coding) =>
    create(`coded ${coding}`, { headers: [["Transfer-Encoding", coding]], body: chunks(made) }),
  ),
  create("coded twice", { headers: [chunked, chunked], body: chunks(made) }),
  create("in chunks by HTTP/1.0", { headers: [chunked], body: chunks(made), version: "HTTP/1.0" }),
  ask("with a body", "GET", object, { body: "{}" }),
  ask("with a body", "HEAD", object, { body: "{}" }),
  ask("with a body", "GET", "/version", { body: "{}" }),
  ask("with a body in chunks", "GET", object, { headers: [chunked], body: chunks("{}") }),
  ask("with a body", "GET", "/nothing", { body: "{}" }),
  ask("with a body", "DELETE", "/nothing", { body: "{}" }),
  ask("with too large a body", "DELETE", `${object}?dryRun=All`, { headers: [json], body: " ".repeat(4_000_000) }),
  create("too large", { body: " ".repeat(4_000_000) }),
  create("too large in chunks", { headers: [chunked], body: chunks(" ".repeat(4_000_000)) }),
];

const connections: readonly RawRequest[] = ["HTTP/1.1", "HTTP/1.0"].flatMap((version) => [
  ...["close", "keep-alive", "Close", "keep-alive, close", "nonsense", "", "upgrade", "te"].flatMap((value) =>
    [object, "/version", "/nothing", "/healthz"].map((target) =>
      ask(`connection ${value} ${version}`, "GET", target, { version, headers: [["Connection", value]] }),
    ),
  ),
  ask(`neither ${version}`, "GET", object, { version }),
  ...["websocket", "h2c", "SPDY/3.1", "nonsense"].flatMap((protocol) =>
    [
      object,
      collection,
      `${collection}?watch=1&timeoutSeconds=1&resourceVersion=0`,
      "/version",
      "/nothing",
      `${core}/pods/nobody/exec?command=a`,
    ].map((target) =>
      ask(`upgrade ${protocol} ${version}`, "GET", target, {
        version,
        headers: [
          ["Connection", "Upgrade"],
          ["Upgrade", protocol],
        ],
      }),
    ),
  ),
  create(`connection closed ${version}`, { version, headers: [["Connection", "close"]] }),
]);

const hosts: readonly RawRequest[] = [
  ...["HTTP/1.1", "HTTP/1.0"].flatMap((version) => [
    ask(`no host ${version}`, "GET", object, { version, lacks: ["Host"] }),
    ...["", "other", "a b", "a/b", "[::1", "a,b", "\u00e9", "localhost:x", "user@host", "x".repeat(300)].map((host) =>
      ask(`host ${host} ${version}`, "GET", object, { version, headers: [["Host", host]] }),
    ),
    ask(`two hosts ${version}`, "GET", object, {
      version,
      headers: [
        ["Host", "a"],
        ["Host", "b"],
      ],
    }),
    ask(`one host twice ${version}`, "GET", object, {
      version,
      headers: [
        ["Host", "a"],
        ["Host", "a"],
      ],
    }),
  ]),
  ...["https://localhost", "http://other:1", "HTTPS://localhost", "ftp://x", "localhost"].map((base) =>
    ask("whole", "GET", `${base}${object}`),
  ),
];

const headers: readonly RawRequest[] = [
  ["X A", "b"],
  ["X\u0000A", "b"],
  ["X\u00e9", "b"],
  ["", "b"],
  ["X(A)", "b"],
  ["X-A ", "b"],
  ["X-A", "a\u0000b"],
  ["X-A", "a\u0001b"],
  ["X-A", "a\u007fb"],
  ["X-A", "\u00e9"],
  ["X-A", "a\r\n b"],
  ["X-A", "a\nX-B: b"],
  ["X-A", "a\rb"],
  ["X-A", ""],
  ["X-Big", "y".repeat(100_000)],
  ["X-Huge", "y".repeat(2_000_000)],
  ["Audit-Id", "mine"],
  ["Audit-Id", "x".repeat(100)],
  ["Audit-Id", "a b"],
  ["Cookie", "a=b"],
  ["X-HTTP-Method-Override", "DELETE"],
  ["X-Forwarded-For", "nonsense"],
  ["User-Agent", ""],
  ["User-Agent", "Mozilla/5.0"],
  ["User-Agent", "curl/8.0"],
  ["Authorization", "Basic YTpi"],
  ["Authorization", "Bearer"],
  ["Authorization", "nonsense"],
  ["Impersonate-User", ""],
  ["Impersonate-Nothing", "x"],
].map((header, index) => ask(`header ${index}`, "GET", object, { headers: [header as unknown as Header] }));
const noHeader: readonly RawRequest[] = [
  ask("many headers", "GET", object, {
    headers: Array.from({ length: 1_500 }, (_, index): Header => [`X-${index}`, "y"]),
  }),
  ask("a bare line", "GET", `${object} HTTP/1.1\r\nnonsense\r\nX: y\r\nZ:`, { version: "" }),
  ask("a folded first line", "GET", `${object} HTTP/1.1\r\n X: y\r\nZ:`, { version: "" }),
  ask("an empty line first", "\r\nGET", object),
  ask("bare newlines", "GET", `${object} HTTP/1.1\nHost: localhost\nX: y\nZ:`, { version: "" }),
];

export const messageGroups: readonly RawGroup[] = [
  { name: "where a body ends", requests: framed },
  { name: "connections", requests: connections },
  { name: "hosts", requests: hosts },
  { name: "headers", requests: [...headers, ...noHeader] },
];
