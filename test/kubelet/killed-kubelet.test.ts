/** A kubelet that is killed, or loses its power, at any moment of what it does for pods: the pods run after it is back, and nothing is
 *  left of them when they are gone. BRAMBLE_KILLS=300 for more moments, BRAMBLE_SEED for others. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { configMaps, pods, secrets } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { until } from "#shared/testing/until.ts";
import { Random } from "../fuzz/random.ts";
import { busyboxArchive, canRunDockerd, testImage } from "../support/dockerd.ts";
import { KilledBoard, nodeName } from "./killed-board.ts";

const kills = Number(process.env["BRAMBLE_KILLS"] ?? 4);
const random = new Random(Number(process.env["BRAMBLE_SEED"] ?? 1));
/** In which a pod with volumes is set up, on a quiet machine and on a busy one. */
const span_ms = 3_000;

describe.skipIf(!canRunDockerd())("a kubelet that is killed", () => {
  let board: KilledBoard;
  beforeAll(async () => {
    board = await KilledBoard.start();
    const namespace = "default";
    await board.api.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "map", namespace },
      data: { k: "v" },
    });
    await board.api.create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "secret", namespace },
      stringData: { s: "t" },
    });
  }, 300_000);
  afterAll(() => board?.stop(), 300_000);

  const anyMoment = async (): Promise<void> => {
    await Bun.sleep(random.below(span_ms));
    if (random.below(3) === 0) await board.losePower();
    else await board.kill();
    board.startKubelet();
  };

  test(`${kills} times keeps its pods and leaves nothing of them`, async () => {
    board.startKubelet();
    for (let round = 0; round < kills / 2; round++) {
      const image = `docker.io/bramble-test/round-${round}:1`;
      const names = [`volumes-${round}`, `image-${round}`];
      writeFileSync(board.inside(`images/round-${round}.tar`), busyboxArchive(image));
      writeFileSync(board.inside("static/own.yaml"), JSON.stringify(ownPod(`own-${round}`)));
      await board.api.create(pods, withVolumes(`volumes-${round}`));
      await board.api.create(pods, { ...plain(`image-${round}`, image), spec: { ...plain("", image).spec, nodeName } });
      await anyMoment();
      await anyMoment();
      const own = `own-${round}-${nodeName}`;
      let said: string[] = [];
      await until(
        "all pods are ready again",
        async () => {
          const { items } = await board.api.list(pods, { namespace: "default" });
          said = items.map(
            ({ metadata, status }) => `${metadata.name} ${status?.phase} ${JSON.stringify(status?.conditions)}`,
          );
          return [...names, own].every((name) => items.some((pod) => pod.metadata.name === name && isReady(pod)));
        },
        { tell: () => [...said, board.said].join("\n") },
      );
      rmSync(board.inside("static/own.yaml"));
      for (const name of names) await board.api.delete(pods, { namespace: "default", name });
      await until(
        "all pods are gone",
        async () => (await board.api.list(pods, { namespace: "default" })).items.length === 0,
        {
          tell: () => board.said,
        },
      );
      let left: string[] = [];
      await until(
        "nothing is left of them",
        async () => {
          left = await board.left();
          return left.length === 0;
        },
        { tell: () => [...left, board.said].join("\n") },
      );
      rmSync(board.inside(`images/round-${round}.tar`));
    }
    expect(board.said).not.toContain("ERROR");
  }, 7_200_000);
});

const isReady = ({ status, metadata }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false);

const script = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

const plain = (name: string, image: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default" },
  spec: {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 1,
    serviceAccountName: "default",
    automountServiceAccountToken: false,
    containers: [{ name: "main", image, imagePullPolicy: "Never", command: ["/bin/sh", "-c", script] }],
  },
});

/** As a manifest has it: without a service account. */
function ownPod(name: string): Pod {
  const { spec, ...pod } = plain(name, testImage);
  const { serviceAccountName: _, ...own } = spec;
  return { ...pod, spec: own };
}

/** With each kind of what is mounted or taken for a pod. */
function withVolumes(name: string): Pod {
  const { spec, ...pod } = plain(name, testImage);
  const [main] = spec.containers;
  return {
    ...pod,
    spec: {
      ...spec,
      nodeName,
      volumes: [
        { name: "memory", emptyDir: { medium: "Memory" } },
        { name: "disk", emptyDir: {} },
        { name: "map", configMap: { name: "map" } },
        { name: "secret", secret: { secretName: "secret" } },
      ],
      initContainers: [
        { name: "first", image: testImage, imagePullPolicy: "Never", command: ["/bin/sh", "-c", "sleep 0.2"] },
      ],
      containers: [
        {
          name: "main",
          image: testImage,
          imagePullPolicy: "Never",
          command: main?.command,
          ports: [{ containerPort: 80, hostPort: 8080 }],
          volumeMounts: [
            { name: "memory", mountPath: "/memory" },
            { name: "disk", mountPath: "/disk", subPath: "part" },
            { name: "map", mountPath: "/map" },
            { name: "secret", mountPath: "/secret" },
          ],
        },
      ],
    },
  };
}
