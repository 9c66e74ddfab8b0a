/** What is asked of proxies to a pod, of Services that lead nowhere, and of what leads to a pod by upgrade. PORT is the one behind. */
import type { RawRequest } from "./raw-request.ts";

export interface NamedRequest extends RawRequest {
  readonly name: string;
}

const core = "/api/v1/namespaces/proxied";

const named = ({ method, path, headers = [], body = "", ...rest }: RawRequest): NamedRequest => ({
  name: [method, path, ...headers, body].filter((part) => part !== "").join(" | "),
  method,
  path,
  headers,
  body,
  ...rest,
});

const get = (path: string, ...headers: string[]): NamedRequest => named({ method: "GET", path, headers });

const behind = [
  ...["to-root", "to-own", "to-other", "to-relative", "to-nothing"],
  ...["page", "page-in-gzip", "page-missing", "text", "hops", "chunks", "until-end"],
  ...["nothing", "failing", "unchanged", "garbage", "close", "upgrade", "ignore-upgrade"],
];

const paths = [
  "",
  "/",
  "?a=b",
  "/?a=b&a=c&b",
  "//x",
  "/x//y/",
  "/a%2Fb%20c?d=%2F%20+e",
  "/x/../y",
  "/%2e%2e/x",
  "/;a=b",
];

const headers = [
  ["X-Own: 1", "X-Own: 2"],
  ["Connection: X-Hop, keep-alive", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: a", "Proxy-Authorization: b"],
  ["Te: trailers", "Trailer: X-Last"],
  ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: a", "X-Forwarded-Proto: b", "X-Forwarded-Uri: c"],
  ["User-Agent: own", "Accept-Encoding: br", "Accept: a/b"],
  ["Impersonate-Group: system:masters", "Impersonate-User: oracle"],
  ["X-Remote-User: mallory", "X-Remote-Group: system:masters"],
  ["Cookie: a=b", "Referer: c", "Origin: d"],
  ["Range: bytes=0-1", 'If-None-Match: "a"'],
];

const methods = ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];

const upgrading = ["Connection: Upgrade", "Upgrade: own"];
const upgrades = ["upgrade", "refuse-upgrade", "ignore-upgrade", "close", "garbage", "x"];

const proxied = ["pods/web:PORT/proxy"].flatMap((place) => {
  const root = `${core}/${place}`;
  return [
    ...paths.map((path) => get(root + path)),
    ...behind.map((path) => get(`${root}/${path}`)),
    get(`${root}/page-in-gzip`, "Accept-Encoding: gzip"),
    ...headers.map((each) => get(`${root}/x`, ...each)),
    ...methods.map((method) => named({ method, path: `${root}/x`, body: method === "POST" ? "a body" : "" })),
    ...methods.map((method) => named({ method, path: root })),
    ...upgrades.map((path) =>
      named({ method: "GET", path: `${root}/${path}`, headers: upgrading, afterwards: "hello" }),
    ),
    named({ method: "POST", path: `${root}/upgrade?a=b`, headers: [...upgrading, "X-Own: 1"], afterwards: "hello" }),
    named({ method: "GET", path: root, headers: upgrading }),
  ];
});

const names = [
  ...["http:web:PORT", "https:web:PORT", "web:1", "ftp:web:PORT", ":web:PORT", "web:"].map((name) => `pods/${name}`),
  ...["web:81"].map((name) => `services/${name}`),
].map((place) => get(`${core}/${place}/proxy/x`));

const key = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];
const webSocket = (...protocols: string[]): string[] => [
  "Connection: Upgrade",
  "Upgrade: websocket",
  ...key,
  ...protocols.map((protocol) => `Sec-WebSocket-Protocol: ${protocol}`),
];
const spdy = (...versions: string[]): string[] => [
  "Connection: Upgrade",
  "Upgrade: SPDY/3.1",
  ...versions.map((version) => `X-Stream-Protocol-Version: ${version}`),
];
const channels = ["channel.k8s.io", "v3.channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io", "v6.channel.k8s.io"];
const forms: readonly (readonly string[])[] = [
  [],
  spdy(),
  spdy("v4.channel.k8s.io", "v3.channel.k8s.io"),
  spdy("portforward.k8s.io"),
  webSocket(),
  ...channels.map((channel) => webSocket(channel)),
  webSocket("v5.channel.k8s.io, v4.channel.k8s.io"),
  webSocket("SPDY/3.1+portforward.k8s.io"),
  webSocket("v2.portforward.k8s.io"),
  ["Connection: Upgrade"],
  ["Upgrade: SPDY/3.1"],
  ["Connection: close", "Upgrade: SPDY/3.1"],
  ["Connection: keep-alive, Upgrade", "Upgrade: nothing/1"],
  ["Connection: Upgrade", "Upgrade: websocket"],
];
const actions = [
  "exec",
  "exec?command=a&stdout=true",
  "attach?stdout=true",
  "portforward",
  "portforward?ports=x",
  "portforward?ports=80",
];

/** As far as an answer comes without the pod's board. */
const connections = ["waiting", "nobody"].flatMap((pod) =>
  actions.flatMap((action) =>
    ["GET", "POST"].flatMap((method) =>
      forms.map((each) => named({ method, path: `${core}/pods/${pod}/${action}`, headers: each })),
    ),
  ),
);

export const requests: readonly NamedRequest[] = [...proxied, ...names, ...connections];
