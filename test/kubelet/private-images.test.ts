/** Images of a registry that asks who is there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { pods, secrets } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { busyboxArchive, canRunDockerd } from "../support/dockerd.ts";
import { canRunRegistry, startRegistry, type TestRegistry } from "../support/registry.ts";
import { isReady, KubeletBoard, lasting, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

describe.skipIf(!canRunDockerd() || !canRunRegistry())("private images", () => {
  let board: KubeletBoard;
  let registry: TestRegistry;
  beforeAll(async () => {
    board = await KubeletBoard.start();
    registry = await startRegistry(board.dockerd);
    const image = `${registry.host}/team/app:1`;
    await registry.push(busyboxArchive(image), image);
    const { host, username, password } = registry;
    const config = JSON.stringify({ auths: { [host]: { username, password } } });
    await board.api.create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "opens", namespace: "default" },
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": Buffer.from(config).toString("base64") },
    });
  }, 300_000);
  afterAll(async () => {
    await registry?.stop();
    await board?.stop();
  }, 300_000);

  const app = (name: string, pullSecrets: string[], imagePullPolicy = "IfNotPresent"): Pod =>
    lasting(name, {
      containers: [{ ...shell("main", wait), image: `${registry.host}/team/app:1`, imagePullPolicy }],
      imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })),
    });
  const waitsFor = ({ status }: Pod): string => status?.containerStatuses?.[0]?.state?.waiting?.reason ?? "";

  test("a pod without the secret does not get the image that another pod has brought", async () => {
    await board.api.create(pods, app("owner", ["opens"]));
    await board.untilPod("owner", isReady);
    await board.api.create(pods, app("stranger", []));
    await board.untilPod("stranger", (pod) => /^(ErrImagePull|ImagePullBackOff)$/.test(waitsFor(pod)));
    await board.api.create(pods, app("guest", [], "Never"));
    await board.untilPod("guest", (pod) => waitsFor(pod) === "ErrImageNeverPull");
    await board.restartKubelet();
    await board.api.create(pods, app("later", [], "Never"));
    await board.untilPod("later", (pod) => waitsFor(pod) === "ErrImageNeverPull");
  }, 300_000);

  test("a pod with it does, though the registry is away", async () => {
    await registry.stop();
    await board.api.create(pods, app("second", ["opens"]));
    await board.untilPod("second", isReady);
    expect(await board.messagesOf("second")).toContain(
      `Pulled: Container image "${registry.host}/team/app:1" already present on machine and can be accessed by the pod`,
    );
  }, 300_000);
});
