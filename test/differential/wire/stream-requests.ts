/** What leads to pods, Services and nodes, as far as an API server answers by itself: who is meant, and with which options. */
import type { Json, WireGroup, WireRequest } from "./request.ts";

const core = "/api/v1/namespaces/wire-streams";

const ask = (path: string, method = "GET"): WireRequest => ({
  name: `stream ${method} ${path}`,
  method,
  path: path.startsWith("/") ? path : `${core}/${path}`,
});

const post = (plural: string, body: Json): WireRequest => ({
  name: `stream setting ${plural} ${(body["metadata"] as Json)["name"]}`,
  method: "POST",
  path: plural === "namespaces" || plural === "nodes" ? `/api/v1/${plural}` : `${core}/${plural}`,
  body,
});
const pod = (name: string, spec: Json = {}, annotations?: Json): WireRequest =>
  post("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...(annotations && { annotations }) },
    spec: { containers: [{ name: "web", image: "a" }], ...spec },
  });
const status = (name: string, value: Json): WireRequest => ({
  name: `stream setting status of ${name}`,
  method: "PATCH",
  path: `${core}/pods/${name}/status`,
  body: { status: value },
  headers: { "content-type": "application/merge-patch+json" },
});
const service = (name: string, spec: Json): WireRequest =>
  post("services", { apiVersion: "v1", kind: "Service", metadata: { name }, spec });
const containers = ["web", "log"].map((name) => ({ name, image: "a" }));
const initContainers = ["setup", "side"].map((name) => ({ name, image: "a" }));
const at = (ip: string): Json => ({ podIP: ip, podIPs: [{ ip }] });
const lost = { nodeName: "no-such-node" };

const setting: readonly WireRequest[] = [
  post("namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "wire-streams" } }),
  post("serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } }),
  pod("unscheduled"),
  pod("two", { containers }),
  pod("init", { initContainers }),
  pod("several", { containers, initContainers }),
  pod("marked", { containers }, { "kubectl.kubernetes.io/default-container": "log" }),
  pod("lost", lost),
  pod("waits", lost),
  status("waits", {
    containerStatuses: [
      {
        name: "web",
        image: "a",
        imageID: "",
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: "ContainerCreating" } },
        lastState: {},
      },
    ],
  }),
  pod("loop"),
  status("loop", { phase: "Running", ...at("127.0.0.1") }),
  pod("local"),
  status("local", { phase: "Running", ...at("fe80::1") }),
  service("idle", {
    ports: [
      { name: "web", port: 80 },
      { name: "other", port: 81 },
    ],
  }),
  service("single", { ports: [{ port: 80 }] }),
  service("outside", { type: "ExternalName", externalName: "example.com" }),
];

const pods = ["unscheduled", "two", "init", "several", "marked", "lost", "waits", "nobody"];
const logs = pods.flatMap((name) =>
  ["", "?container=web", "?container=nope", "?container=setup", "?previous=true", "?follow=true&container=web"].map(
    (query) => ask(`pods/${name}/log${query}`),
  ),
);

const logOptions = [
  "tailLines=-1",
  "tailLines=x",
  "tailLines=",
  "limitBytes=0",
  "limitBytes=-1",
  "sinceSeconds=0",
  "sinceSeconds=-5",
  "sinceTime=yesterday",
  "sinceTime=2020-01-01T00:00:00Z",
  "sinceTime=2020-01-01T00:00:00Z&sinceSeconds=5",
  "sinceTime=2020-01-01T00:00:00Z&sinceSeconds=-5&tailLines=-1&limitBytes=0",
  "follow=maybe",
  "previous=x",
  "timestamps=x",
  "stream=Stdout",
  "stream=Both",
  "stream=All",
  "stream=Stderr&tailLines=5",
  "insecureSkipTLSVerifyBackend=true",
  "unknown=1",
  "container=a&container=b",
].flatMap((query) => ["unscheduled", "nobody"].map((name) => ask(`pods/${name}/log?${query}`)));

const connections = pods.flatMap((name) =>
  [
    "exec",
    "exec?command=a",
    "exec?command=a&stdin=true",
    "exec?command=a&stdin=x",
    "exec?command=a&tty=true&stdin=true&stderr=true&stdout=true",
    "exec?container=nope&command=a",
    "exec?container=web&command=a",
    "exec?container=setup&command=a",
    "exec?command=&stdout=true",
    "attach",
    "attach?stdin=x",
    "attach?stdout=false",
    "attach?container=nope",
    "attach?container=web",
    "portforward",
    "portforward?ports=80",
    "portforward?ports=1,2",
    "portforward?ports=0",
    "portforward?ports=x",
    "portforward?ports=99999",
    "portforward?ports=-1",
  ].flatMap((action) => [ask(`pods/${name}/${action}`, "POST"), ask(`pods/${name}/${action}`)]),
);

const methods = ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"].flatMap((method) =>
  ["exec?command=a&stdout=true", "attach", "portforward", "log", "proxy", "proxy/x"].map((action) =>
    ask(`pods/lost/${action}`, method),
  ),
);

const proxies = [
  ...["unscheduled", "lost", "loop", "local", "nobody"].flatMap((name) =>
    ["", "/", "/x"].map((path) => ask(`pods/${name}/proxy${path}`)),
  ),
  ...["ftp:loop:80", "a:b:c:d", "unscheduled:80", "http:unscheduled:", "http::80", ":", "loop:1", "HTTPS:loop:1"].map(
    (name) => ask(`pods/${name}/proxy/`),
  ),
  ...[
    "idle:0",
    "idle:-1",
    "idle:82",
    "single:81",
    "outside:80",
    "ftp:idle:web",
    "a:b:c:d",
    ":",
    "http::80",
    "nobody",
    "nobody:80",
  ].flatMap((name) => ["", "/", "/x"].map((path) => ask(`services/${name}/proxy${path}`))),
  ...["nobody", "nobody:10250", "https:nobody:1", "ftp:nobody:1", "a:b:c:d", ":"].flatMap((name) =>
    ["", "/", "/x"].map((path) => ask(`/api/v1/nodes/${name}/proxy${path}`)),
  ),
];

export const streamGroups: readonly WireGroup[] = [
  { name: "streams: setting", inOrder: true, requests: setting },
  { name: "streams: logs", requests: [...logs, ...logOptions] },
  { name: "streams: connections", requests: [...connections, ...methods] },
  { name: "streams: proxies", requests: proxies },
];
