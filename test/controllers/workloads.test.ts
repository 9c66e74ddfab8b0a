import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import {
  cronJobs,
  daemonSets,
  deployments,
  events,
  horizontalPodAutoscalers,
  jobs,
  namespaces,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  replicationControllers,
  serviceAccounts,
  statefulSets,
} from "#shared/api/resources.ts";
import type { Pod, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import { eventually } from "../../master/controllers/testing/eventually.ts";
import { workloadControllers } from "../../master/controllers/workload-controllers.ts";
import { joinBoard, playBoards } from "./boards.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

/* All workload controllers under their own rights, with the scheduler, the garbage collector and the rest; the test plays
 * the boards. */

const namespace = "work";
let plane: ControlPlane;
const boards = new AbortController();
beforeAll(async () => {
  plane = await startControlPlane(workloadControllers());
  const { admin } = plane;
  await admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace }, spec: {} });
  await eventually(async () => (await admin.list(serviceAccounts, { namespace })).items.length > 0, "an account");
  for (const name of ["node-a", "node-b"]) await joinBoard(admin, name, { board: "pi" });
  void playBoards(admin, boards.signal);
}, 300_000);
afterAll(async () => {
  boards.abort();
  await plane.stop();
}, 300_000);
afterEach(async () => {
  const refused = (await plane.admin.list(events, { namespace })).items
    .filter(({ type, reason }) => type === "Warning" && reason !== "FailedScheduling")
    .map(({ reason, message }) => `${reason}: ${message}`)
    .filter((text) => !text.includes("resource metrics API"));
  expect(refused).toEqual([]);
  expect(plane.complaints.filter((complaint) => complaint.includes("forbidden"))).toEqual([]);
});

const template = (app: string, image = "example/app:1", more: Partial<Pod["spec"]> = {}): PodTemplateSpec => ({
  metadata: { labels: { app, ...(more?.restartPolicy ? { ends: "yes" } : {}) } },
  spec: { containers: [{ name: "main", image, resources: { requests: { cpu: "10m" } } }], ...more },
});
const selector = (app: string) => ({ matchLabels: { app } });
const podsOf = async (app: string) => (await plane.admin.list(pods, { namespace, labelSelector: `app=${app}` })).items;

test("a Deployment rolls, guarded by a budget and watched by an autoscaler, and goes with its pods", async () => {
  const { admin } = plane;
  const key = { namespace, name: "web" };
  await admin.create(deployments, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: key,
    spec: { replicas: 3, selector: selector("web"), template: template("web") },
  });
  await admin.create(podDisruptionBudgets, {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: key,
    spec: { maxUnavailable: 1, selector: selector("web") },
  });
  await admin.create(horizontalPodAutoscalers, {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: key,
    spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" }, maxReplicas: 5 },
  });
  const isRolled = async (image: string) => {
    const { status, metadata } = await admin.get(deployments, key);
    const images = new Set((await podsOf("web")).map(({ spec }) => spec?.containers[0]?.image));
    return (
      status?.observedGeneration === metadata.generation &&
      status?.availableReplicas === 3 &&
      status.updatedReplicas === 3 &&
      status.replicas === 3 &&
      [...images].join() === image
    );
  };
  await eventually(() => isRolled("example/app:1"), "three replicas");
  // Tools are told to leave alone what this manager writes.
  const { managedFields = [] } = (await admin.get(deployments, key)).metadata;
  expect(managedFields.find(({ subresource }) => subresource === "status")?.manager).toBe("kube-controller-manager");
  await eventually(
    async () => (await admin.get(podDisruptionBudgets, key)).status?.disruptionsAllowed === 1,
    "one may go",
  );
  await eventually(async () => {
    const { status } = await admin.get(horizontalPodAutoscalers, key);
    return status?.conditions?.find(({ type }) => type === "AbleToScale")?.reason === "SucceededGetScale";
  }, "the autoscaler sees it");
  await admin.patch(deployments, key, {
    type: "merge",
    body: { spec: { template: template("web", "example/app:2") } },
  });
  await eventually(() => isRolled("example/app:2"), "the new image");
  await admin.delete(horizontalPodAutoscalers, key);
  await admin.delete(podDisruptionBudgets, key);
  await admin.delete(deployments, key);
  await eventually(async () => (await podsOf("web")).length === 0, "everything gone");
}, 300_000);

test("a DaemonSet is on every board, a ReplicationController keeps its number", async () => {
  const { admin } = plane;
  await admin.create(daemonSets, {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { namespace, name: "agent" },
    spec: { selector: selector("agent"), template: template("agent") },
  });
  await admin.create(replicationControllers, {
    apiVersion: "v1",
    kind: "ReplicationController",
    metadata: { namespace, name: "old" },
    spec: { replicas: 2, selector: { app: "old" }, template: template("old") },
  });
  await eventually(async () => {
    const { status } = await admin.get(daemonSets, { namespace, name: "agent" });
    return status?.numberAvailable === 2;
  }, "two daemons");
  expect((await podsOf("agent")).map(({ spec }) => spec?.nodeName).sort()).toEqual(["node-a", "node-b"]);
  await eventually(async () => {
    const { status } = await admin.get(replicationControllers, { namespace, name: "old" });
    return status?.availableReplicas === 2;
  }, "two of the old kind");
}, 300_000);

test("a StatefulSet brings its claims, in order", async () => {
  const { admin } = plane;
  await admin.create(statefulSets, {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { namespace, name: "db" },
    spec: {
      replicas: 2,
      serviceName: "db",
      selector: selector("db"),
      template: template("db"),
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
      volumeClaimTemplates: [
        {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          metadata: { name: "data" },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
        },
      ],
    },
  });
  const claim = { namespace, name: "data-db-0" };
  await eventually(async () => (await podsOf("db")).length === 1, "the first pod");
  // Nobody here makes volumes: bind the pod by hand.
  await eventually(
    async () => (await admin.get(persistentVolumeClaims, claim)).metadata.ownerReferences?.[0]?.kind === "StatefulSet",
    "the claim goes with the set",
  );
  expect((await podsOf("db"))[0]?.spec?.hostname).toBe("db-0");
  await admin.delete(statefulSets, { namespace, name: "db" });
  await eventually(
    async () => (await admin.list(persistentVolumeClaims, { namespace })).items.length === 0,
    "the claims gone",
  );
}, 300_000);

test("Jobs come to their end, by hand and by the clock", async () => {
  const { admin } = plane;
  await admin.create(jobs, {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { namespace, name: "once" },
    spec: {
      completions: 3,
      parallelism: 2,
      completionMode: "Indexed",
      template: template("once", "example/app:1", { restartPolicy: "Never" }),
    },
  });
  await eventually(async () => {
    const { status } = await admin.get(jobs, { namespace, name: "once" });
    return status?.conditions?.some(({ type }) => type === "Complete") ?? false;
  }, "complete");
  expect((await admin.get(jobs, { namespace, name: "once" })).status).toMatchObject({
    succeeded: 3,
    completedIndexes: "0-2",
  });
  await admin.create(cronJobs, {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { namespace, name: "tick" },
    spec: {
      schedule: "@every 1s",
      concurrencyPolicy: "Forbid",
      jobTemplate: { spec: { template: template("tick", "example/app:1", { restartPolicy: "OnFailure" }) } },
    },
  });
  await eventually(async () => {
    const { status } = await admin.get(cronJobs, { namespace, name: "tick" });
    return status?.lastSuccessfulTime !== undefined;
  }, "a Job by the clock");
  await admin.delete(cronJobs, { namespace, name: "tick" });
}, 300_000);
