/** get --watch and events --watch: what is printed as objects come, change and go, each change made once the one before is shown. */
import { type KubectlArea, type KubectlCommand, run, script } from "../command.ts";

interface Change {
  readonly command: string;
  /** How many lines there are once it is shown. */
  readonly lines: number;
}

/** Follows by `line` what `changes` do, then ends it and shows all that it said. */
function followed(line: string, lines: number, changes: readonly Change[]): KubectlCommand {
  const shown = (count: number): string => `until [ $(wc -l < said) -ge ${count} ]; do sleep 0.1; done`;
  return script(
    [
      // It is there before the first look at it.
      ": > said",
      `kubectl ${line} > said 2>&1 & following=$!`,
      shown(lines),
      ...changes.flatMap((change) => [`kubectl ${change.command} > made 2>&1`, shown(change.lines)]),
      "kill $following",
      "wait $following",
      "cat said",
    ].join("\n"),
  );
}

const map = [
  { command: "create configmap new --from-literal=a=1", lines: 3 },
  { command: "label configmap new app=long-name", lines: 4 },
  { command: `patch configmap new --type=merge -p '{"data":{"b":"2"}}'`, lines: 5 },
  { command: "delete configmap new", lines: 6 },
];
const fewer = (by: number): Change[] => map.map(({ command, lines }) => ({ command, lines: lines - by }));

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "main", image: "web:1" }] },
};
const podStatus = (status: object): string =>
  `patch pod p --subresource=status --type=merge -p '${JSON.stringify({ status })}'`;
const ready = {
  phase: "Running",
  podIP: "10.42.0.9",
  podIPs: [{ ip: "10.42.0.9" }],
  containerStatuses: [
    { name: "main", image: "web:1", imageID: "x", ready: true, restartCount: 3, state: { running: {} } },
  ],
};
const event = (name: string, type: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name },
    type,
    reason: "Tried",
    message: `${name} was tried`,
    involvedObject: { apiVersion: "v1", kind: "Pod", name: "p", namespace: "commands-watching" },
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-02T00:00:00Z",
    count: 2,
  });

export const watching: KubectlArea = {
  files: { "first.json": event("first", "Normal"), "second.json": event("second", "Warning") },
  commands: [
    run("create serviceaccount default"),
    run("create configmap there --from-literal=x=y"),
    followed("get configmaps --watch", 2, map),
    followed("get configmaps --watch --show-labels -L app", 2, map),
    followed("get configmaps --watch --output-watch-events", 2, map),
    followed("get configmaps --watch --no-headers --show-kind", 1, fewer(1)),
    followed("get configmaps --watch --all-namespaces --field-selector=metadata.namespace=commands-watching", 2, map),
    followed("get configmaps --watch -o name", 1, fewer(1)),
    followed("get configmaps --watch -o custom-columns=N:.metadata.name,D:.data", 2, map),
    followed("get configmaps --watch --output-watch-events -o custom-columns=N:.metadata.name", 2, map),
    followed("get configmap there --watch -o wide", 2, [
      { command: "label configmap there a=b", lines: 3 },
      { command: "label configmap there a-", lines: 4 },
    ]),
    followed("get configmaps -l app --watch --output-watch-events", 0, [
      { command: "create configmap new", lines: 0 },
      { command: "label configmap new app=a", lines: 2 },
      { command: "label configmap new app-", lines: 3 },
      { command: "delete configmap new", lines: 3 },
    ]),
    run("create -f -", pod),
    followed("get pods --watch", 2, [
      { command: podStatus({ reason: "Evicted", phase: "Failed" }), lines: 3 },
      { command: podStatus({ ...ready, reason: null }), lines: 4 },
      { command: "delete pod p", lines: 5 },
    ]),
    run("create -f -", pod),
    followed("get pods --watch -o wide", 2, [
      { command: podStatus(ready), lines: 3 },
      { command: "label pod p a=b", lines: 4 },
    ]),
    followed("events --watch", 0, [
      { command: "create -f first.json", lines: 2 },
      { command: "create -f second.json", lines: 3 },
      { command: `patch event first --type=merge -p '{"count":5}'`, lines: 4 },
    ]),
    run("events --for pod/p"),
    run("events --for Pod/p -o yaml"),
    run("events --for pod/none"),
    run("events --for nothing/p"),
    run("events --for p"),
    run("events --all-namespaces --types=Warning --for=pod/p"),
    run("events --types=Warning,Normal --chunk-size=1"),
    run("events -o wide"),
    run("events --no-headers -o jsonpath={.items[*].message}"),
    run("get events --watch-only --request-timeout=1s"),
    run("get pods,configmaps --watch"),
    run("get pods none --watch"),
    run("get pods p there --watch"),
    run("get pods --watch --sort-by=.metadata.name --request-timeout=1s"),
    run("get nothings --watch"),
    run("delete pod p"),
  ],
};
