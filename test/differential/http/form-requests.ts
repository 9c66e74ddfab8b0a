/** Conditions, ranges, compression, and forms of answers and bodies. */
import { gzipSync } from "node:zlib";
import { ask, big, collection, create, dryRun, made, object, type RawGroup } from "./asking.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const conditions: readonly Header[][] = [
  [["If-None-Match", "*"]],
  [["If-None-Match", '"x"']],
  [["If-None-Match", '"x", "y"']],
  [["If-Match", '"x"']],
  [["If-Match", "*"]],
  [["If-Modified-Since", "Tue, 01 Jan 2999 00:00:00 GMT"]],
  [["If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"]],
  [["If-Modified-Since", "yesterday"]],
  [["If-Unmodified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"]],
  [["Range", "bytes=0-3"]],
  [["Range", "bytes=-3"]],
  [["Range", "bytes=0-1,3-4"]],
  [["Range", "bytes=999999999-"]],
  [["Range", "lines=1-2"]],
  [
    ["Range", "bytes=0-3"],
    ["If-Range", '"x"'],
  ],
];
const aggregated: Header = ["Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"];
const conditional: readonly RawRequest[] = (["http/1.1", "h2"] as const).flatMap((over) =>
  [
    ...[object, collection, "/nothing", "/version", "/healthz", "/api/v1"].flatMap((target) =>
      conditions.map((headers) => [target, headers] as const),
    ),
    ...["/api", "/apis"].flatMap((target) => conditions.map((headers) => [target, [aggregated, ...headers]] as const)),
  ].flatMap(([target, headers]) =>
    ["GET", "HEAD"].map((method) =>
      ask(JSON.stringify(headers), method, target, { over, headers: headers as readonly Header[] }),
    ),
  ),
);

const encodings: readonly string[] = [
  "",
  "gzip",
  "identity",
  "GZIP",
  "gzip;q=0",
  "gzip;q=0.5",
  "gzip, deflate, br",
  "deflate",
  "br",
  "*",
  "identity;q=0",
  "*;q=0",
  "gzip;q=x",
  ",gzip",
  "x-gzip",
  "gzip;level=1",
];
const compressed: readonly RawRequest[] = (["http/1.1", "h2"] as const).flatMap((over) =>
  [object, big, collection, "/version", "/api", "/healthz", `${collection}/nobody`].flatMap((target) => [
    ...encodings.map((encoding) =>
      ask(`taking ${encoding}`, "GET", target, { over, anyBody: true, headers: [["Accept-Encoding", encoding]] }),
    ),
    ask("taking gzip", "HEAD", target, { over, headers: [["Accept-Encoding", "gzip"]] }),
    ask("taking gzip twice", "GET", target, {
      over,
      anyBody: true,
      headers: [
        ["Accept-Encoding", "deflate"],
        ["Accept-Encoding", "gzip"],
      ],
    }),
  ]),
);
const contentEncodings: readonly RawRequest[] = (["http/1.1", "h2"] as const).flatMap((over) =>
  ["gzip", "identity", "br", "nonsense", ""].flatMap((encoding) => [
    create(`plain encoded ${encoding}`, { over, headers: [["Content-Encoding", encoding]] }),
    create(`encoded ${encoding}`, { over, headers: [["Content-Encoding", encoding]], body: gzipSync(made) }),
  ]),
);

const accepts: readonly string[] = [
  "",
  " ",
  "*/*",
  "text/html",
  "application/json;q=0.1",
  `${"a/b;".repeat(2000)}application/json`,
  "\u00e9/json",
  "application/json;as=Table;v=v1;g=meta.k8s.io".repeat(50),
];
const types: readonly string[] = [
  "",
  " ",
  "application/json",
  "application/json;",
  "text/plain",
  "\u00e9/json",
  "application/json;".repeat(2000),
];
const negotiated: readonly RawRequest[] = (["http/1.1", "h2"] as const).flatMap((over) => [
  ...accepts.flatMap((accept, index) =>
    [object, "/api/v1", "/version", "/healthz", "/nothing"].map((target) => ({
      ...ask(`accepting ${index}`, "GET", target, { over, headers: [["Accept", accept]] }),
    })),
  ),
  ...[object, "/api/v1", "/version"].flatMap((target) => [
    ask("accepting whatever", "GET", target, { over, lacks: ["Accept"] }),
    ask("accepting twice", "GET", target, {
      over,
      headers: [
        ["Accept", "text/html"],
        ["Accept", "application/json"],
      ],
    }),
    ask("accepting yaml first", "GET", target, {
      over,
      headers: [
        ["Accept", "application/yaml"],
        ["Accept", "application/json"],
      ],
    }),
  ]),
  ...types.map((type, index) =>
    ask(`typed ${index}`, "POST", dryRun, { over, headers: [["Content-Type", type]], body: made }),
  ),
  ask("not typed", "POST", dryRun, { over, body: made }),
  ask("typed twice", "POST", dryRun, {
    over,
    headers: [
      ["Content-Type", "application/json"],
      ["Content-Type", "text/plain"],
    ],
    body: made,
  }),
]);

const readers: readonly string[] = [
  "",
  "*/*",
  "text/html",
  "text/plain",
  "text/plain;version=0.0.4",
  "text/plain;version=1.0.0",
  "application/openmetrics-text;version=1.0.0",
  "application/json;q=0.9,text/plain;version=0.0.4;q=0.5",
  ...["underscores", "allow-utf-8", "dots", "values", "nonsense", ""].map((each) => `text/plain;escaping=${each}`),
  "text/plain;version=0.0.4;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.2",
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
];
const expositions: readonly RawRequest[] = [
  ...["/metrics", "/metrics/slis"].flatMap((target) => [
    ...readers.map((accept) => ask(`read by ${accept}`, "GET", target, { headers: [["Accept", accept]] })),
    ask("read by whoever", "GET", target, { lacks: ["Accept"] }),
    ask("read", "HEAD", target),
    ask("read by nobody", "GET", target, { anonymous: true }),
    ask("asked below", "GET", `${target}/nothing`),
  ]),
  ...["exclude=etcd", "exclude=nothing", "exclude=etcd&exclude=", "exclude"].flatMap((query) =>
    ["/healthz", "/livez", "/readyz"].map((page) => ask("health", "GET", `${page}?${query}`)),
  ),
];

export const formGroups: readonly RawGroup[] = [
  { name: "conditions and ranges", requests: conditional },
  { name: "compression", requests: [...compressed, ...contentEncodings] },
  { name: "forms", requests: negotiated },
  { name: "metrics and health", requests: expositions },
];
