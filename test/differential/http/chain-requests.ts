/** What is looked at before a request reaches its handler: times, who asks, as whom, and what is said in headers alone. */
import { ask, collection, create, dryRun, json, type More, object, type RawGroup } from "./asking.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const get = (what: string, target: string, more: More = {}): RawRequest =>
  ask(what, "GET", target, { over: "h2", ...more });
const watch = `${collection}?watch=1&timeoutSeconds=1`;

const times = [
  "0",
  "0s",
  "-1s",
  "1h",
  "5",
  "1.5s",
  "1e3s",
  "",
  "5s5s",
  "%205s",
  "1d",
  "61s",
  "%2B5s",
  ".5m",
  "5S",
  "9223372036854775808ns",
];
const limited: readonly RawRequest[] = [
  ...times.flatMap((time) => [
    ...[object, "/version", "/nothing"].map((target) => get("within", `${target}?timeout=${time}`)),
    get("within, watching", `${watch}&timeout=${time}`, { anyBody: true }),
    get("within, of nobody", `${object}?timeout=${time}`, { anonymous: true }),
    create("within", { over: "h2" }, `${dryRun}&timeout=${time}`),
  ]),
  get("within either", `${object}?timeout=x&timeout=5s`),
  get("within either", `${object}?timeout=5s&timeout=x`),
  get("for no time", `${collection}?watch=1&timeoutSeconds=-1`),
];

const review = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
const acting: readonly (readonly Header[])[] = [
  [["Impersonate-Uid", "u"]],
  [["Impersonate-Group", "g"]],
  [["Impersonate-Group", ""]],
  [["Impersonate-Extra-Scopes", "s"]],
  [
    ["Impersonate-User", ""],
    ["Impersonate-Group", "g"],
  ],
  [
    ["Impersonate-User", "a"],
    ["Impersonate-User", "b"],
  ],
  [
    ["Impersonate-User", "a"],
    ["Impersonate-Group", ""],
  ],
  [
    ["Impersonate-User", "a"],
    ["Impersonate-Group", "g"],
    ["Impersonate-Group", "h, i"],
  ],
  [
    ["Impersonate-User", "a"],
    ["Impersonate-Extra-Acme%2Fscopes", "s"],
  ],
  [
    ["Impersonate-User", "a"],
    ["Impersonate-Uid", "u"],
    ["Impersonate-Uid", "v"],
  ],
  [["Impersonate-User", "system:serviceaccount:x:y"]],
  [["Impersonate-User", "system:serviceaccount:x"]],
  [["Impersonate-User", "system:anonymous"]],
];
const asOthers = acting.flatMap((headers) => {
  const what = `as ${JSON.stringify(headers)}`;
  return [
    get(what, object, { headers }),
    get(`${what} of nobody`, object, { headers, anonymous: true }),
    ask(what, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {
      over: "h2",
      headers: [json, ...headers],
      body: review,
    }),
  ];
});

const bearers = [
  "Bearer",
  "bearer x",
  "BEARER x",
  "Bearer  x",
  "Bearer x y",
  "Bearer   ",
  "Basic YTpi",
  "Negotiate x",
  "",
  "x",
];
const known = bearers.flatMap((bearer) =>
  [object, "/healthz", "/nothing"].map((target) =>
    ask(`by ${bearer}`, "GET", target, { anonymous: true, headers: [["Authorization", bearer]] }),
  ),
);

const pages = [
  "/index.html",
  "/debug/api_priority_and_fairness/dump_priority_levels",
  "/debug/api_priority_and_fairness/dump_queues",
];
const absentPages = [
  ...["/statusz", "/flagz", "/configz", "/logs", "/logs/", "/debug", "/debug/flags", "/debug/flags/v"],
  ...["/debug/pprof", "/debug/pprof/", "/debug/pprof/heap?debug=1", "/metrics/resources"],
];
const health = ["/livez/ping", "/livez/nothing", "/livez/", "/readyz?exclude=ping", "/readyz?exclude=nothing"];

export const chainGroups: readonly RawGroup[] = [
  { name: "times", requests: limited },
  { name: "acting as others", requests: asOthers },
  { name: "who is known", requests: known },
  {
    name: "pages of the chain",
    requests: pages.flatMap((page) =>
      ["GET", "HEAD", "PUT"].map((method) => ask("page", method, page, { anyBody: true })),
    ),
  },
  {
    name: "pages of a component",
    requests: [
      ...[...absentPages, ...health, "/version"].flatMap((page) =>
        ["GET", "HEAD", "POST", "DELETE"].map((method) => ask("page", method, page)),
      ),
      ...["/metrics", "/metrics/slis"].flatMap((page) => [
        ask("reset", "DELETE", page),
        ask("reset by nobody", "DELETE", page, { anonymous: true }),
        ask("page", "POST", page),
      ]),
      ask("page", "GET", "/api/v1/componentstatuses/nothing"),
    ],
  },
];
