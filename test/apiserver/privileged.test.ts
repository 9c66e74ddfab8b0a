/** What --allow-privileged=false refuses, as upstream's API server was seen to answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { capabilities } from "../../master/apiserver/resources/core/pod/capabilities.ts";
import { startWire } from "./wire.ts";

const { send } = startWire();
beforeAll(() => {
  capabilities.allowsPrivileged = false;
});
afterAll(() => {
  capabilities.allowsPrivileged = true;
});

const container = { name: "c", image: "x", securityContext: { privileged: true } };
const labels = { app: "w" };
const template = { metadata: { labels }, spec: { containers: [container] } };
const workload = { spec: { selector: { matchLabels: labels }, template } };
const once = { metadata: {}, spec: { restartPolicy: "Never", containers: [container] } };
const at = (group: string, plural: string): string =>
  `${group === "v1" ? "/api" : "/apis"}/${group}/namespaces/test/${plural}`;
const because = "containers[0].securityContext.privileged: Forbidden: disallowed by cluster policy";

const templates: [string, string, string, object, string][] = [
  ["apps/v1", "deployments", "Deployment", workload, 'Deployment.apps "w" is invalid: spec.template.spec.'],
  ["apps/v1", "replicasets", "ReplicaSet", workload, 'ReplicaSet.apps "w" is invalid: spec.template.spec.'],
  ["apps/v1", "daemonsets", "DaemonSet", workload, 'DaemonSet.apps "w" is invalid: spec.template.spec.'],
  ["apps/v1", "statefulsets", "StatefulSet", workload, 'StatefulSet.apps "w" is invalid: spec.template.spec.'],
  [
    "v1",
    "replicationcontrollers",
    "ReplicationController",
    { spec: { selector: labels, template } },
    'ReplicationController "w" is invalid: spec.template.spec.',
  ],
  ["v1", "podtemplates", "PodTemplate", { template }, 'PodTemplate "w" is invalid: template.spec.'],
  ["batch/v1", "jobs", "Job", { spec: { template: once } }, 'Job.batch "w" is invalid: spec.template.spec.'],
  [
    "batch/v1",
    "cronjobs",
    "CronJob",
    { spec: { schedule: "* * * * *", jobTemplate: { spec: { template: once } } } },
    'CronJob.batch "w" is invalid: spec.jobTemplate.spec.template.spec.',
  ],
];

test.each(templates)("%s: none of %s", async (apiVersion, plural, kind, content, message) => {
  const object = { apiVersion, kind, metadata: { name: "w" }, ...content };
  const { code, body } = await send("POST", at(apiVersion, plural), object);
  expect([code, body.message]).toEqual([422, message + because]);
});

const podOf = (name: string, spec: object): object => ({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec });
const pods = at("v1", "pods");

test("pods, in the order in which upstream tells of what is wrong", async () => {
  const first = { name: "i", image: "x", securityContext: { privileged: true, runAsUser: -1 } };
  const refused = await send("POST", pods, podOf("p", { containers: [container], initContainers: [first] }));
  expect([refused.code, refused.body.message]).toEqual([
    422,
    'Pod "p" is invalid: [spec.containers[0].securityContext.privileged: Forbidden: disallowed by cluster policy, ' +
      "spec.initContainers[0].securityContext.privileged: Forbidden: disallowed by cluster policy, " +
      "spec.initContainers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive]",
  ]);
  const windows = {
    hostNetwork: true,
    os: { name: "windows" },
    securityContext: { windowsOptions: { hostProcess: true } },
    containers: [{ name: "c", image: "x" }],
  };
  expect((await send("POST", pods, podOf("win", windows))).body.message).toBe(
    'Pod "win" is invalid: spec: Forbidden: hostProcess containers are disallowed by cluster policy',
  );
});

test("containers that are added to a pod; others are let in", async () => {
  expect((await send("POST", pods, podOf("plain", { containers: [{ name: "c", image: "x" }] }))).code).toBe(201);
  const patch = { spec: { ephemeralContainers: [{ ...container, name: "e" }] } };
  const { body } = await send("PATCH", `${pods}/plain/ephemeralcontainers`, patch, {
    "content-type": "application/strategic-merge-patch+json",
  });
  expect(body.message).toBe(
    'Pod "plain" is invalid: spec.ephemeralContainers[0].securityContext.privileged: Forbidden: disallowed by cluster policy',
  );
});
