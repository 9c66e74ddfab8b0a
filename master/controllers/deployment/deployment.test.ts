import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { deployments, replicaSets } from "#shared/api/resources.ts";
import type { Deployment, DeploymentSpec, ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { replicaSetController } from "../replicaset/replicaset.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { livePods, runAllPods, webTemplate } from "../testing/workloads.ts";
import { currentAnnotations, lastRevision, maxRevision } from "./annotations.ts";
import { deploymentController } from "./deployment.ts";
import { scale, scaleDownOld } from "./sizes.ts";

const key = { namespace: "default", name: "web" };
const deployment = (spec: Partial<DeploymentSpec> = {}): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { ...key, annotations: { note: "x" } },
  spec: {
    replicas: 4,
    selector: { matchLabels: { app: "web" } },
    template: webTemplate(),
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
    progressDeadlineSeconds: 600,
    revisionHistoryLimit: 1,
    ...spec,
  },
});

describe("sizes", () => {
  const set = (name: string, replicas: number, available: number, max?: number): ReplicaSet => ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name,
      creationTimestamp: `2026-01-01T00:00:0${name.length}Z`,
      ...(max === undefined ? {} : { annotations: { "deployment.kubernetes.io/max-replicas": String(max) } }),
    },
    spec: { replicas, selector: {} },
    status: { replicas, availableReplicas: available },
  });
  const sizes = (resizes: ReturnType<typeof scale>) =>
    resizes.map(({ replicaSet, replicas }) => [replicaSet.metadata.name, replicas]);

  test("unavailable old pods go first, then as many as availability allows", () => {
    const plan = scaleDownOld(deployment({ replicas: 10 }), set("new", 1, 1), [set("o", 5, 2), set("oo", 5, 5)]);
    // 9 must be available; 8 are: only the three broken may go, of which the total allows 2.
    expect(sizes(plan)).toEqual([["o", 3]]);
    const healthy = scaleDownOld(deployment({ replicas: 10 }), set("new", 1, 1), [set("o", 5, 5), set("oo", 5, 5)]);
    expect(sizes(healthy)).toEqual([["o", 3]]);
    expect(scaleDownOld(deployment({ replicas: 10 }), set("new", 2, 0), [set("o", 9, 9)])).toEqual([]);
  });

  test("a status that still counts pods about to go takes nothing from availability", () => {
    const wanted = deployment({
      replicas: 3,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
    });
    // Just made smaller, from five to three: one of the three must stay.
    expect(sizes(scaleDownOld(wanted, set("new", 3, 0), [set("o", 3, 5)]))).toEqual([["o", 1]]);
    // And the new one counts no further than its size.
    expect(
      sizes(scaleDownOld({ ...wanted, spec: { ...wanted.spec, replicas: 5 } }, set("new", 1, 4), [set("o", 4, 4)])),
    ).toEqual([["o", 2]]);
  });

  test("a change of the number during a rollout is shared by proportion", () => {
    const wanted = deployment({ replicas: 20, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 5 } } });
    const plan = scale(wanted, set("new", 5, 0, 15), [set("o", 10, 10, 15)]);
    expect(sizes(plan)).toEqual([
      ["o", 17],
      ["new", 8],
    ]);
    expect(sizes(scale(deployment({ replicas: 0 }), set("new", 5, 0, 15), [set("o", 10, 10, 15)]))).toEqual([
      ["o", 0],
      ["new", 0],
    ]);
  });

  test("the only active ReplicaSet takes the number itself", () => {
    expect(sizes(scale(deployment({ replicas: 7 }), set("new", 0, 0), [set("o", 4, 4)]))).toEqual([["o", 7]]);
  });
});

test("revisions are whole numbers of 64 bits", () => {
  const set = (revision: string): ReplicaSet => ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "a", annotations: { "deployment.kubernetes.io/revision": revision } },
    spec: { selector: {} },
  });
  expect(maxRevision([])).toBe(0n);
  const sets = ["3546343826724305832", "2", "3546343826724305831", "9223372036854775808", "x", "-1"].map(set);
  expect(maxRevision(sets)).toBe(3546343826724305832n);
  expect(lastRevision(sets)).toBe(3546343826724305831n);
});

test("a template used again gets a new revision and remembers the old ones", () => {
  const revision = "deployment.kubernetes.io/revision";
  const once = currentAnnotations(deployment(), { [revision]: "1" }, 3n);
  expect(once).toEqual({ note: "x", [revision]: "3", [`${revision}-history`]: "1" });
  expect(currentAnnotations(deployment(), once, 5n)).toMatchObject({ [`${revision}-history`]: "1,3" });
  expect(currentAnnotations(deployment(), once, 2n)).toEqual(once);
});

describe("a Deployment", () => {
  let harness: Harness<RecordingClient>;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
  });
  afterEach(() => harness.stop());

  const start = async (made: Deployment, mayRun?: (pod: Pod) => boolean): Promise<void> => {
    void runAllPods(harness.client, harness.ending, mayRun);
    await harness.run(replicaSetController);
    await harness.run(deploymentController);
    await harness.client.create(deployments, made);
  };
  const get = () => harness.client.get(deployments, key);
  const sets = async () => (await harness.client.list(replicaSets)).items;
  const change = (spec: object) => harness.client.patch(deployments, key, { type: "merge", body: { spec } });
  const condition = async (type: string) => (await get()).status?.conditions?.find((one) => one.type === type);
  const isDone = async () => {
    const { status, metadata } = await get();
    return (
      status?.observedGeneration === metadata.generation &&
      (await condition("Progressing"))?.reason === "NewReplicaSetAvailable"
    );
  };

  test("rolls to a new template within surge and unavailability, and keeps its history", async () => {
    await start(deployment());
    await eventually(isDone, "the first rollout");
    expect((await condition("Available"))?.message).toBe("Deployment has minimum availability.");
    const [first] = await sets();
    const hash = first?.metadata.labels?.["pod-template-hash"];
    expect(first?.metadata.name).toBe(`web-${hash}`);
    expect(first?.spec.selector.matchLabels).toEqual({ app: "web", "pod-template-hash": hash ?? "" });
    expect((await condition("Progressing"))?.message).toBe(`ReplicaSet "web-${hash}" has successfully progressed.`);

    for (const [index, image] of ["example/web:2", "example/web:3"].entries()) {
      await change({ template: webTemplate(image) });
      const revision = String(index + 2);
      await eventually(async () => {
        const { metadata, status } = await get();
        return (
          metadata.annotations?.["deployment.kubernetes.io/revision"] === revision &&
          status?.updatedReplicas === 4 &&
          status.availableReplicas === 4 &&
          status.replicas === 4 &&
          (await isDone())
        );
      }, image);
      expect(new Set((await livePods(harness.client)).map(({ spec }) => spec?.containers[0]?.image))).toEqual(
        new Set([image]),
      );
    }
    await eventually(async () => (await sets()).length === 2, "one old ReplicaSet");
    // Never more than replicas and surge.
    const said = `Normal Deployment/web ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 4`;
    await eventually(() => harness.recorded.includes(said), "the event");
    await eventually(
      () => harness.recorded.some((one) => one.includes("Scaled down") && one.includes("from 4 to 3")),
      "the first of the old ones that goes",
    );
  });

  test("asks for its ReplicaSet once, also where the cache shows that late", async () => {
    const { client, informers } = harness;
    const { queue } = await harness.run(deploymentController);
    const release = client.hold(replicaSets);
    const { create } = client;
    let asked = 0;
    client.create = async (...args: Parameters<typeof create>) => {
      if (args[0].plural === "replicasets") asked++;
      return create.apply(client, args) as never;
    };
    await client.create(deployments, deployment({}));
    await eventually(() => client.count("create replicasets") === 1, "the ReplicaSet");
    await client.patch(deployments, key, { type: "merge", body: { metadata: { annotations: { look: "again" } } } });
    const isLooked = () =>
      informers.lister(deployments).get("default/web")?.metadata.annotations?.["look"] === "again" && !queue.busy;
    await eventually(isLooked, "another look");
    release();
    await eventually(() => informers.lister(replicaSets).size === 1 && !queue.busy, "the ReplicaSet in the cache");
    expect(asked).toBe(1);
  });

  test("recreates only when all old pods are gone", async () => {
    await start(deployment({ strategy: { type: "Recreate" } }));
    await eventually(isDone, "the first rollout");
    let mixed = false;
    const seen = new AbortController();
    const watching = (async () => {
      const { pods } = await import("#shared/api/resources.ts");
      for await (const _ of harness.client.watch(pods, { signal: seen.signal })) {
        const images = new Set((await livePods(harness.client)).map(({ spec }) => spec?.containers[0]?.image));
        mixed ||= images.size > 1;
      }
    })();
    await change({ template: webTemplate("example/web:2") });
    await eventually(async () => {
      const { status } = await get();
      return status?.updatedReplicas === 4 && status.availableReplicas === 4 && (await isDone());
    }, "recreated");
    seen.abort();
    await watching;
    expect(mixed).toBe(false);
  });

  test("paused: scales, but does not roll", async () => {
    await start(deployment());
    await eventually(isDone, "the first rollout");
    await change({ paused: true, template: webTemplate("example/web:2"), replicas: 6 });
    await eventually(async () => (await get()).status?.availableReplicas === 6, "six");
    expect(await sets()).toHaveLength(1);
    expect(await condition("Progressing")).toMatchObject({
      status: "Unknown",
      reason: "DeploymentPaused",
      message: "Deployment is paused",
    });
    await change({ paused: false });
    await eventually(async () => (await get()).status?.updatedReplicas === 6 && (await isDone()), "rolled");
  });

  test("goes back to an older revision when asked to", async () => {
    await start(deployment());
    await eventually(isDone, "the first rollout");
    await change({ template: webTemplate("example/web:2") });
    await eventually(async () => (await isDone()) && (await get()).status?.updatedReplicas === 4, "the second");
    const annotations = { "deprecated.deployment.rollback.to": "0" };
    await harness.client.patch(deployments, key, { type: "merge", body: { metadata: { annotations } } });
    await eventually(
      async () => (await get()).spec.template.spec?.containers[0]?.image === "example/web:1",
      "the old template",
    );
    expect((await get()).metadata.annotations).not.toHaveProperty(["deprecated.deployment.rollback.to"]);
    const said = 'Normal Deployment/web DeploymentRollback: Rolled back deployment "web" to revision 1';
    await eventually(() => harness.recorded.includes(said), "the event");
    await eventually(
      async () => (await get()).metadata.annotations?.["deployment.kubernetes.io/revision"] === "3",
      "revision 3",
    );
  });

  test("that gets no further says so after its deadline", async () => {
    const clock = new ManualClock(Date.parse("2026-01-01T00:00:00Z"));
    await harness.run(replicaSetController, clock);
    await harness.run(deploymentController, clock);
    await harness.client.create(deployments, deployment({ progressDeadlineSeconds: 60 }));
    await eventually(async () => (await get()).status?.unavailableReplicas === 4, "four that never come up");
    await eventually(async () => {
      await clock.advance(10_000);
      return (await condition("Progressing"))?.status === "False";
    }, "the deadline");
    const [only] = await sets();
    expect(await condition("Progressing")).toMatchObject({
      reason: "ProgressDeadlineExceeded",
      message: `ReplicaSet "${only?.metadata.name}" has timed out progressing.`,
    });
    expect(await condition("Available")).toMatchObject({ status: "False", reason: "MinimumReplicasUnavailable" });
  });
});
