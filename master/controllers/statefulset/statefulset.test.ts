import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { staleObject } from "#shared/api/errors.ts";
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from "#shared/api/resources.ts";
import type { StatefulSet, StatefulSetSpec } from "#shared/api/types/apps-v1.generated.ts";
import type { PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { livePods, makeReady, runAllPods, webTemplate } from "../testing/workloads.ts";
import { ownersToWrite } from "./claim-owners.ts";
import { newPod } from "./ordinals.ts";
import { statefulSetController } from "./statefulset.ts";

const key = { namespace: "default", name: "db" };
const claim: PersistentVolumeClaim = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};
const statefulSet = (spec: Partial<StatefulSetSpec> = {}): StatefulSet => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { ...key },
  spec: {
    replicas: 3,
    serviceName: "db",
    selector: { matchLabels: { app: "web" } },
    template: webTemplate(),
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
    podManagementPolicy: "OrderedReady",
    ...spec,
  },
});

test("a pod knows its ordinal and its claims", () => {
  const pod = newPod(statefulSet({ volumeClaimTemplates: [claim], ordinals: { start: 5 } }), webTemplate(), "db-x", 7);
  expect(pod).toMatchObject({
    metadata: {
      name: "db-7",
      // Upstream's pods of a StatefulSet tell it too.
      generateName: "db-",
      labels: {
        app: "web",
        "statefulset.kubernetes.io/pod-name": "db-7",
        "apps.kubernetes.io/pod-index": "7",
        "controller-revision-hash": "db-x",
      },
    },
    spec: {
      hostname: "db-7",
      subdomain: "db",
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data-db-7" } }],
    },
  });
});

describe("claims are owned as the retention policy says", () => {
  const set = (whenDeleted: string, whenScaled: string, replicas = 3): StatefulSet => ({
    ...statefulSet({ replicas, persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled } }),
    metadata: { ...key, uid: "set" },
  });
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "db-2", uid: "pod" }, spec: { containers: [] } };
  const owned = (...owners: [kind: string, name: string, uid: string][]): PersistentVolumeClaim => ({
    ...claim,
    metadata: {
      name: "data-db-2",
      ownerReferences: owners.map(([kind, name, uid]) => ({
        apiVersion: kind === "Pod" ? "v1" : "apps/v1",
        kind,
        name,
        uid,
        controller: true,
      })),
    },
  });
  const kinds = (given: PersistentVolumeClaim, of: StatefulSet) =>
    ownersToWrite(given, of, pod)?.map(({ kind }) => kind);

  test("by the set, by a pod that is too many, by nobody", () => {
    expect(kinds(owned(), set("Retain", "Retain"))).toBeUndefined();
    expect(kinds(owned(["StatefulSet", "db", "set"]), set("Retain", "Retain"))).toEqual([]);
    expect(kinds(owned(), set("Delete", "Retain"))).toEqual(["StatefulSet"]);
    expect(kinds(owned(["StatefulSet", "db", "set"]), set("Delete", "Retain"))).toBeUndefined();
    expect(kinds(owned(), set("Retain", "Delete"))).toBeUndefined();
    expect(kinds(owned(), set("Retain", "Delete", 2))).toEqual(["Pod"]);
    expect(kinds(owned(["StatefulSet", "db", "set"]), set("Delete", "Delete", 2))).toEqual(["Pod"]);
    expect(kinds(owned(["Pod", "db-2", "pod"]), set("Delete", "Delete"))).toEqual(["StatefulSet"]);
  });

  test("not when something else controls them, or a former pod takes them along", () => {
    expect(kinds(owned(["Other", "x", "y"]), set("Delete", "Delete"))).toBeUndefined();
    expect(kinds(owned(["Pod", "db-2", "former"]), set("Retain", "Delete", 2))).toBeUndefined();
  });
});

describe("a StatefulSet", () => {
  let harness: Harness<RecordingClient>;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
  });
  afterEach(() => harness.stop());
  const get = () => harness.client.get(statefulSets, key);
  const names = async () => (await livePods(harness.client)).map(({ metadata }) => metadata.name).join();
  const images = async () => (await livePods(harness.client)).map(({ spec }) => spec?.containers[0]?.image);
  const change = (spec: object) => harness.client.patch(statefulSets, key, { type: "merge", body: { spec } });
  /** Of which pods, in order. One whose end the controller has not heard of yet may be deleted once more, by its UID. */
  const deletions = () =>
    harness.client.writes
      .filter((write) => write.startsWith("delete pods"))
      .map((write) => write.slice(-1))
      .filter((ordinal, index, all) => ordinal !== all[index - 1]);

  test("starts one after the other and ends in reverse", async () => {
    const { client } = harness;
    await harness.run(statefulSetController);
    await client.create(statefulSets, statefulSet({ volumeClaimTemplates: [claim] }));
    for (const expected of ["db-0", "db-0,db-1", "db-0,db-1,db-2"]) {
      await eventually(async () => (await names()) === expected, expected);
      const last = (await livePods(client)).at(-1);
      if (last) await makeReady(client, last);
    }
    await eventually(async () => (await get()).status?.availableReplicas === 3, "three available");
    const { status } = await get();
    expect(status).toMatchObject({ replicas: 3, readyReplicas: 3, currentReplicas: 3, updatedReplicas: 3 });
    expect(status?.currentRevision).toBe(status?.updateRevision);
    const claims = (await client.list(persistentVolumeClaims)).items.map(({ metadata }) => metadata.name);
    expect(claims).toEqual(["data-db-0", "data-db-1", "data-db-2"]);
    const said = "Normal StatefulSet/db SuccessfulCreate: Create Pod db-0 in StatefulSet db successful";
    await eventually(() => harness.recorded.includes(said), "the event");
    await change({ replicas: 1 });
    await eventually(async () => (await names()) === "db-0", "one left");
    expect(deletions()).toEqual(["2", "1"]);
    expect((await client.list(persistentVolumeClaims)).items).toHaveLength(3);
  });

  test("in parallel does not wait", async () => {
    await harness.run(statefulSetController);
    await harness.client.create(statefulSets, statefulSet({ podManagementPolicy: "Parallel", ordinals: { start: 4 } }));
    await eventually(async () => (await names()) === "db-4,db-5,db-6", "all three at once");
  });

  test("rolls from the last to the first, down to its partition, and back", async () => {
    const { client } = harness;
    void runAllPods(client, harness.ending);
    await harness.run(statefulSetController);
    await client.create(statefulSets, statefulSet());
    await eventually(async () => (await get()).status?.availableReplicas === 3, "three available");
    const first = (await get()).status?.currentRevision;
    const partition = (value: number) => ({ type: "RollingUpdate", rollingUpdate: { partition: value } });
    await change({ template: webTemplate("example/web:2"), updateStrategy: partition(1) });
    await eventually(async () => {
      const { status } = await get();
      return status?.updatedReplicas === 2 && status.availableReplicas === 3;
    }, "two of the new");
    expect(await images()).toEqual(["example/web:1", "example/web:2", "example/web:2"]);
    expect(deletions()).toEqual(["2", "1"]);
    expect((await get()).status?.currentRevision).toBe(first);
    // A pod below the partition comes back as it was.
    await client.delete(pods, { namespace: "default", name: "db-0" });
    await eventually(async () => (await images()).join() === "example/web:1,example/web:2,example/web:2", "as it was");
    await change({ updateStrategy: partition(0) });
    await eventually(async () => {
      const { status } = await get();
      return status?.currentRevision === status?.updateRevision && status?.currentReplicas === 3;
    }, "all of the new");
    await change({ template: webTemplate("example/web:1") });
    await eventually(async () => {
      const { status } = await get();
      return status?.updateRevision === first && status?.currentRevision === first;
    }, "the first revision again");
    expect((await client.list(controllerRevisions)).items).toHaveLength(2);
  });

  test("replaces a pod that failed, under its own name", async () => {
    const { client } = harness;
    void runAllPods(client, harness.ending);
    await harness.run(statefulSetController);
    await client.create(statefulSets, statefulSet({ replicas: 1 }));
    await eventually(async () => (await get()).status?.readyReplicas === 1, "ready");
    const [pod] = await livePods(client);
    const body = { status: { phase: "Failed" } };
    await client.patch(
      pods,
      { namespace: "default", name: "db-0" },
      { type: "merge", body },
      { subresource: "status" },
    );
    await eventually(async () => {
      const [now] = await livePods(client);
      return now !== undefined && now.metadata.uid !== pod?.metadata.uid && now.metadata.name === "db-0";
    }, "another db-0");
  });

  test("tells when a claim's owners follow a changed retention policy", async () => {
    const { client } = harness;
    void runAllPods(client, harness.ending);
    await harness.run(statefulSetController);
    await client.create(statefulSets, statefulSet({ replicas: 1, volumeClaimTemplates: [claim] }));
    await eventually(async () => (await get()).status?.readyReplicas === 1, "ready");
    await change({ persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" } });
    await eventually(async () => {
      const [present] = (await client.list(persistentVolumeClaims)).items;
      return present?.metadata.ownerReferences?.[0]?.kind === "StatefulSet";
    }, "owned by the set");
    const told = "Normal StatefulSet/db SuccessfulUpdate: Update Pod db-0 in StatefulSet db successful";
    await eventually(() => harness.recorded.includes(told), "told");
  });

  test("a pod that somebody else has just changed is written again, with nothing to tell of the first try", async () => {
    const { client } = harness;
    void runAllPods(client, harness.ending);
    await harness.run(statefulSetController);
    await client.create(statefulSets, statefulSet({ replicas: 1, volumeClaimTemplates: [claim] }));
    await eventually(async () => (await get()).status?.readyReplicas === 1, "ready");
    const { update } = client;
    let refusals = 1;
    client.update = async (...args: Parameters<typeof update>) => {
      if (args[0].plural === "pods" && refusals-- > 0) throw staleObject(pods, "db-0");
      return update.apply(client, args) as never;
    };
    await change({ persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" } });
    const told = "Normal StatefulSet/db SuccessfulUpdate: Update Pod db-0 in StatefulSet db successful";
    await eventually(() => harness.recorded.includes(told), "told");
    expect(harness.recorded.filter((line) => line.startsWith("Warning"))).toEqual([]);
  });

  test("claims and pods that the cache does not show yet are nothing to tell of", async () => {
    const { client } = harness;
    await harness.run(statefulSetController);
    const releases = [client.hold(persistentVolumeClaims), client.hold(pods)];
    await client.create(statefulSets, statefulSet({ replicas: 1, volumeClaimTemplates: [claim] }));
    await eventually(async () => (await get()).status?.observedGeneration === 1, "the first look");
    await change({ minReadySeconds: 1 });
    await eventually(async () => (await get()).status?.observedGeneration === 2, "the second look");
    for (const release of releases) release();
    expect(client.count("create pods")).toBe(1);
    expect(harness.recorded.filter((line) => line.startsWith("Warning"))).toEqual([]);
  });

  test("every claim that can be made is, and all that cannot are told", async () => {
    const { client } = harness;
    const named = (name: string): PersistentVolumeClaim => ({ ...claim, metadata: { name } });
    const finalizers = ["example.com/hold"];
    for (const name of ["a-db-0", "b-db-0"]) {
      await client.create(persistentVolumeClaims, { ...claim, metadata: { name, namespace: "default", finalizers } });
      await client.delete(persistentVolumeClaims, { namespace: "default", name });
    }
    await harness.run(statefulSetController);
    const volumeClaimTemplates = ["a", "b", "c"].map(named);
    await client.create(statefulSets, statefulSet({ replicas: 1, volumeClaimTemplates }));
    const both = "[pvc a-db-0 is being deleted, pvc b-db-0 is being deleted]";
    const told = `Warning StatefulSet/db FailedCreate: Create Pod db-0 in StatefulSet db failed error: ${both}`;
    await eventually(() => harness.recorded.includes(told), "told");
    const claims = (await client.list(persistentVolumeClaims)).items.map(({ metadata }) => metadata.name);
    expect(claims).toContain("c-db-0");
  });
});
