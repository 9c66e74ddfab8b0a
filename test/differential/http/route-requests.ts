/** Which methods and forms of path lead anywhere: subresources, parts that are empty, old ways to watch, and custom kinds. */
import { ask, core, custom, json, type More, made, object, type RawGroup } from "./asking.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const merge: Header = ["Content-Type", "application/merge-patch+json"];
const dry = (target: string): string => `${target}${target.includes("?") ? "&" : "?"}dryRun=All`;
const route = (method: string, target: string, more: More = {}): RawRequest =>
  ask("route", method, target, { over: "h2", ...more });
/** By any method, with a body where the method has one. Nothing is changed by these. */
const by = (method: string, target: string, body = made): RawRequest => {
  if (method === "PATCH") return route(method, dry(target), { headers: [merge], body: "{}" });
  if (/^(POST|PUT)$/.test(method)) return route(method, dry(target), { headers: [json], body });
  return route(method, method === "DELETE" ? dry(target) : target);
};
const refused = (method: string, target: string): RawRequest =>
  route(method, target, { anonymous: true, ...(method === "POST" && { headers: [json], body: made }) });

const things = `${custom}/namespaces/wire-http/things`;
const pod = `${core}/pods/nobody`;
const deployments = "/apis/apps/v1/namespaces/wire-http/deployments";

const subresources = [
  ...[
    "status",
    "log",
    "exec",
    "attach",
    "portforward",
    "proxy",
    "proxy/a",
    "eviction",
    "binding",
    "ephemeralcontainers",
  ],
  ...["resize", "nothing", "status/more", "nothing/more", "log/more"],
].map((each) => `${pod}/${each}`);
const below = [
  ...subresources,
  `${object}/status`,
  `${object}/nothing`,
  ...["scale", "status", "nothing"].map((each) => `${deployments}/nobody/${each}`),
  "/api/v1/nodes/nobody/proxy",
  "/api/v1/nodes/nobody/status",
  ...["finalize", "status", "nothing"].map((each) => `${core}/${each}`),
  `${core}/serviceaccounts/default/token`,
  `${core}/bindings`,
  "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
  `${core}/nothings`,
  `${core}/nothings/a`,
];
const lasting = /exec|attach|portforward|proxy|log$/;
const belowObjects = below.flatMap((target) =>
  (lasting.test(target) ? ["HEAD"] : ["HEAD", "GET", "OPTIONS"]).map((method) => route(method, target)),
);

const customPlaces = [
  ...[things, `${things}/held`, `${things}/nobody`, `${custom}/things`, `${custom}/things/held`],
  ...["status", "scale", "nothing", "status/more"].map((each) => `${things}/held/${each}`),
  ...[`${custom}/namespaces//things`, `${custom}/namespaces//things/held`, `${things}/`, `${things}//held`],
];
const thing = JSON.stringify({ apiVersion: "door.example.com/v1", kind: "Thing", metadata: { name: "held" } });
const ofCustomKinds = [
  ...customPlaces.flatMap((target) =>
    ["HEAD", "GET", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE"].map((method) => by(method, target, thing)),
  ),
  ...["", "/", "//"].flatMap((end) =>
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) =>
      route(method, `${custom}${end}`, { anyBody: true }),
    ),
  ),
];

const emptied = [
  "/api/v1/namespaces//configmaps",
  "/api/v1/namespaces//configmaps/held",
  "/api/v1/namespaces//pods/nobody/status",
  "/api/v1/namespaces//pods/nobody/eviction",
  "/api/v1/namespaces//status",
  "/api/v1/namespaces//finalize",
  "/api/v1/namespaces//nodes",
  "/api/v1/namespaces//nothings",
  "/api/v1/namespaces//",
  "/api/v1//namespaces",
  "/api/v1//pods",
  "/api/v1/pods/",
  "//api/v1/pods",
  `${core}//pods`,
  `${core}/pods//`,
  `${core}/pods//nobody`,
  `${pod}//status`,
  `${pod}/`,
  "/api//v1/pods",
  "/apis//apps/v1/deployments",
  "/apis/apps//v1/deployments",
  "/apis/apps/v1//deployments",
  "/apis/apps/v1/namespaces//deployments",
  `/${custom}/things`,
];
const ofEmptyParts = [
  ...emptied.flatMap((target) => [
    ...["GET", "HEAD", "PUT", "PATCH"].map((method) => by(method, target)),
    ...(target.endsWith("//pods") ? [] : [by("POST", target), by("DELETE", target)]),
    ...["GET", "POST", "DELETE"].map((method) => refused(method, target)),
  ]),
  ...["/api/v1/namespaces//pods/nobody/log", "/api/v1/namespaces//pods/nobody/exec?command=a"].map((target) =>
    route("GET", target),
  ),
  route("GET", "/api/v1/namespaces//services/nobody/proxy/"),
  route("GET", "/api/v1/namespaces//configmaps?watch=1&timeoutSeconds=1", { anyBody: true }),
];

const documents = [
  "/api",
  "/apis",
  "/apis/apps",
  "/apis/apps/v1",
  "/apis/nothing",
  "/apis/apps/v2",
  "/api/v1",
  "/api/v2",
];
const ofDocuments = documents.flatMap((target) =>
  ["", "/", "//", "///"].flatMap((end) =>
    ["GET", "HEAD", "PUT", "OPTIONS"].map((method) => route(method, `${target}${end}`, { anyBody: true })),
  ),
);

const old = ["pods", `${pod.slice("/api/v1/".length)}`, "nodes/nobody", "namespaces", "namespaces//pods"];
const oldWays = ["watch", "proxy"].flatMap((way) =>
  [...old, `${old[1]}/status`].flatMap((rest) =>
    ["GET", "POST"].flatMap((method) => [
      route(method, `/api/v1/${way}/${rest}?timeoutSeconds=1`, { anyBody: true }),
      route(method, `/api/v1/${way}/${rest}?timeoutSeconds=1`, { anyBody: true, anonymous: true }),
    ]),
  ),
);

const once = (requests: readonly RawRequest[]): readonly RawRequest[] => [
  ...new Map(
    requests.map((each) => {
      const name = `${each.name}${each.anonymous ? " of nobody" : ""}`;
      return [name, { ...each, name }] as const;
    }),
  ).values(),
];

export const routeGroups: readonly RawGroup[] = [
  { name: "below objects", requests: once(belowObjects) },
  { name: "custom kinds", requests: once(ofCustomKinds) },
  { name: "empty parts", requests: once(ofEmptyParts) },
  { name: "documents", requests: once(ofDocuments) },
  { name: "old ways", requests: once(oldWays) },
];
