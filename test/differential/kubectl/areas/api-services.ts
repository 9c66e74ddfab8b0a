/** While aggregated APIs are registered that nobody serves. */
import { type KubectlArea, run, script } from "../command.ts";

const registration = (name: string, more: object = {}): object => ({
  apiVersion: "apiregistration.k8s.io/v1",
  kind: "APIService",
  metadata: { name: `v1.${name}.example.com` },
  spec: {
    group: `${name}.example.com`,
    version: "v1",
    groupPriorityMinimum: 100,
    versionPriority: 10,
    insecureSkipTLSVerify: true,
    service: { namespace: "commands-broken", name },
    ...more,
  },
});
const service = (ports: object[]): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "idle" },
  spec: { clusterIP: "10.43.9.9", ports },
});
/** Once it is told that none is available, and discovery tells it too. */
const untilBroken = script(
  "for each in gone idle; do kubectl wait apiservice/v1.$each.example.com --for=condition=Available=False --timeout=60s; until kubectl get --raw /apis/$each.example.com >/dev/null 2>&1; do sleep 0.2; done; done",
);
const withoutAge = (line: string) => script(`kubectl ${line} | sed 's/ *[^ ]*$//'`);

export const apiServices: KubectlArea = {
  commands: [
    run("create -f -", service([{ port: 443 }])),
    run("create -f -", registration("gone")),
    run("create -f -", registration("idle")),
    untilBroken,
    withoutAge("get apiservice v1.gone.example.com v1.idle.example.com"),
    run("get apiservice v1.gone.example.com -o jsonpath={.status.conditions[*].message}"),
    run("api-resources --api-group=gone.example.com"),
    run("api-resources --api-group=apps -o name"),
    run("get all -o name"),
    run("get things.gone.example.com"),
    run("get things.v1.gone.example.com"),
    run("get thing"),
    run("delete things --all"),
    run("explain things.gone.example.com"),
    run("explain things --api-version=gone.example.com/v1"),
    run("get --raw /apis/gone.example.com"),
    run("get --raw /apis/gone.example.com/v1"),
    run("get --raw /apis/idle.example.com/v1/namespaces/default/things"),
    run("get --raw /openapi/v3/apis/gone.example.com/v1"),
    run("apply -f -", { apiVersion: "gone.example.com/v1", kind: "Thing", metadata: { name: "one" } }),
    run("create configmap beside"),
    run("delete configmap beside"),
    run("delete apiservice v1.gone.example.com v1.idle.example.com"),
  ],
};
