import { expect } from "bun:test";
import {
  configMaps,
  cronJobs,
  daemonSets,
  deployments,
  horizontalPodAutoscalers,
  jobs,
  podDisruptionBudgets,
  replicaSets,
  replicationControllers,
  resourceClaims,
  resourceClaimTemplates,
  statefulSets,
} from "#shared/api/resources.ts";
import { type Rows, selector, template } from "./stage.ts";

/** What makes pods of what people deploy, and what goes with them. */
export const workloadRows: Rows = {
  async "replication-controller"(stage) {
    await stage.admin.create(replicationControllers, {
      apiVersion: "v1",
      kind: "ReplicationController",
      metadata: stage.key("old"),
      spec: { replicas: 2, selector: { app: "old" }, template: template("old") },
    });
    await stage.until(replicationControllers, stage.key("old"), ({ status }) => status?.availableReplicas === 2);
  },
  async "replicaset-controller"(stage) {
    await stage.admin.create(replicaSets, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: stage.key("set"),
      spec: { replicas: 2, selector: selector("set"), template: template("set") },
    });
    await stage.until(replicaSets, stage.key("set"), ({ status }) => status?.availableReplicas === 2);
  },
  async "deployment-controller"(stage) {
    await stage.deployment("web", 2);
    const done = await stage.until(deployments, stage.key("web"), ({ status }) => status?.availableReplicas === 2);
    expect(done.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("1");
    await stage.until(
      deployments,
      stage.key("web"),
      ({ status }) =>
        status?.conditions?.find(({ type }) => type === "Progressing")?.reason === "NewReplicaSetAvailable",
    );
  },
  async "daemonset-controller"(stage) {
    await stage.admin.create(daemonSets, {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: stage.key("agent"),
      spec: { selector: selector("agent"), template: template("agent") },
    });
    await stage.until(daemonSets, stage.key("agent"), ({ status }) => status?.numberAvailable === 2);
  },
  async "statefulset-controller"(stage) {
    await stage.admin.create(statefulSets, {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: stage.key("db"),
      spec: {
        replicas: 2,
        ordinals: { start: 5 },
        serviceName: "db",
        selector: selector("db"),
        template: template("db"),
      },
    });
    await stage.until(statefulSets, stage.key("db"), ({ status }) => status?.availableReplicas === 2);
    const names = (await stage.podsOf("db")).map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual(["db-5", "db-6"]);
  },
  async "job-controller"(stage) {
    await stage.admin.create(jobs, {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: stage.key("once"),
      spec: { completions: 2, completionMode: "Indexed", template: template("once", { restartPolicy: "Never" }) },
    });
    const done = await stage.until(jobs, stage.key("once"), ({ status }) => status?.completionTime);
    expect(done.status?.completedIndexes).toBe("0,1");
  },
  async "cronjob-controller"(stage) {
    await stage.admin.create(cronJobs, {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: stage.key("tick"),
      spec: {
        schedule: "@every 1s",
        timeZone: "Europe/Berlin",
        jobTemplate: { spec: { template: template("tick", { restartPolicy: "Never" }) } },
      },
    });
    await stage.until(cronJobs, stage.key("tick"), ({ status }) => status?.lastScheduleTime);
    await stage.admin.delete(cronJobs, stage.key("tick"));
  },
  async "ttl-after-finished-controller"(stage) {
    await stage.admin.create(jobs, {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: stage.key("brief"),
      spec: { ttlSecondsAfterFinished: 0, template: template("brief", { restartPolicy: "Never" }) },
    });
    await stage.gone(jobs, stage.key("brief"));
  },
  async "disruption-controller"(stage) {
    await stage.deployment("guarded", 2);
    await stage.admin.create(podDisruptionBudgets, {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: stage.key("guarded"),
      spec: { minAvailable: "50%", selector: selector("guarded") },
    });
    const budget = await stage.until(
      podDisruptionBudgets,
      stage.key("guarded"),
      ({ status }) => status?.disruptionsAllowed === 1,
    );
    expect(budget.status?.desiredHealthy).toBe(1);
  },
  async "horizontal-pod-autoscaler"(stage) {
    await stage.deployment("scaled", 1);
    await stage.admin.create(horizontalPodAutoscalers, {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: stage.key("scaled"),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "scaled" },
        minReplicas: 3,
        maxReplicas: 5,
      },
    });
    await stage.until(deployments, stage.key("scaled"), ({ spec }) => spec.replicas === 3);
  },
  async "garbage-collector-controller"(stage) {
    const owner = await stage.admin.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: stage.key("owner"),
    });
    const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner.metadata.uid ?? "" }];
    await stage.admin.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...stage.key("owned"), ownerReferences },
    });
    await stage.admin.delete(configMaps, stage.key("owner"));
    await stage.gone(configMaps, stage.key("owned"));
  },
  async "resourceclaim-controller"(stage) {
    const requests = [{ name: "r", exactly: { deviceClassName: "gpu.example.com" } }];
    await stage.admin.create(resourceClaimTemplates, {
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceClaimTemplate",
      metadata: stage.key("t"),
      spec: { spec: { devices: { requests } } },
    });
    await stage.pod("p", { resourceClaims: [{ name: "gpu", resourceClaimTemplateName: "t" }] });
    const claims = async () => (await stage.admin.list(resourceClaims, { namespace: stage.namespace })).items;
    while ((await claims()).length === 0) await Bun.sleep(5);
    expect((await claims())[0]?.metadata.annotations?.["resource.kubernetes.io/pod-claim-name"]).toBe("gpu");
  },
};
