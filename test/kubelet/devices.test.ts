import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { devicePaths, RegisterRequest } from "#agent/kubelet/devices/device-messages.ts";
import {
  AllocatableResourcesResponse,
  ListPodResourcesResponse,
  podResourcesPaths,
} from "#agent/kubelet/devices/pod-resources.ts";
import { pods } from "#shared/api/resources.ts";
import type { Container, Node } from "#shared/api/types/core-v1.generated.ts";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { TestDevicePlugin } from "../support/device-plugin.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { KubeletBoard, phaseIs, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const resource = "example.test/thing";

describe.skipIf(!canRunDockerd())("devices by plug-ins", () => {
  let board: KubeletBoard;
  let plugin: TestDevicePlugin;
  const plugins: TestDevicePlugin[] = [];

  const counts =
    (capacity: string, allocatable: string) =>
    ({ status }: Node): boolean =>
      status?.capacity?.[resource] === capacity && status.allocatable?.[resource] === allocatable;

  function newPlugin(): TestDevicePlugin {
    const made = new TestDevicePlugin(board.pluginDir, resource, ["a", "b", "c"], (ids) => ({
      envs: { THINGS: ids.join(",") },
      mounts: [{ containerPath: "/thing", hostPath: join(board.dockerd.directory, "thing"), readOnly: true }],
      devices: [{ containerPath: "/dev/thing", hostPath: "/dev/null", permissions: "rw" }],
      annotations: { "thing.test/ids": ids.join(",") },
    }));
    plugins.push(made);
    return made;
  }

  const wanting = (name: string, count: string, script: string, more: Partial<Container> = {}): Container =>
    shell(name, script, { resources: { limits: { [resource]: count }, requests: { [resource]: count } }, ...more });

  async function ask(path: string): Promise<Buffer> {
    const channel = new GrpcChannel({
      endpoint: new URL(`unix://${join(board.pluginDir, "pod-resources/kubelet.sock")}`),
    });
    try {
      return await channel.unary(path, Buffer.alloc(0), 60_000);
    } finally {
      channel.close();
    }
  }

  beforeAll(async () => {
    board = await KubeletBoard.start();
    mkdirSync(join(board.dockerd.directory, "thing"));
    writeFileSync(join(board.dockerd.directory, "thing", "file"), "here");
    plugin = newPlugin();
    await plugin.start();
    await board.untilNode(counts("3", "3"));
  }, 300_000);

  afterAll(async () => {
    await board?.stop();
    for (const each of plugins) await each.stop();
  }, 300_000);

  test("the folders that a driver's own pod may insist on are there before any volume is", () => {
    for (const folder of ["pods", "plugins", "plugins_registry"])
      expect(statSync(join(board.pluginDir, folder)).isDirectory()).toBe(true);
  });

  test("a container has what its plug-in gives with a device, and an init container's device serves it next", async () => {
    const script = 'echo $THINGS; cat /thing/file; test -c /dev/thing && echo " device"';
    const spec = { initContainers: [wanting("first", "1", "true")], containers: [wanting("main", "2", script)] };
    await board.api.create(pods, pod("taker", spec));
    await board.untilPod("taker", phaseIs("Succeeded"));
    const [first = [], main = []] = plugin.allocated;
    expect([first.length, main.length]).toEqual([1, 2]);
    expect(main).toContain(first[0] ?? "");
    // The plug-in prefers the last of what is free.
    expect(first).toEqual(["c"]);
    expect(await board.logsOf("taker", "main")).toBe(`${main.join(",")}\nhere device\n`);
    expect(plugin.started).toEqual([first, main]);
    await board.remove("taker");
  }, 300_000);

  test("what is not there is refused, and what a pod had is free after it", async () => {
    await board.api.create(pods, pod("holder", { containers: [wanting("main", "2", wait)] }));
    await board.untilPod("holder", phaseIs("Running"));
    const list = ListPodResourcesResponse.decode(await ask(podResourcesPaths.list));
    expect(list.podResources.find(({ name }) => name === "holder")?.containers).toMatchObject([
      { name: "main", devices: [{ resourceName: resource, deviceIds: ["c", "b"] }] },
    ]);
    const { devices } = AllocatableResourcesResponse.decode(await ask(podResourcesPaths.allocatable));
    expect(devices.map(({ deviceIds }) => deviceIds[0])).toEqual(["a", "b", "c"]);

    plugin.setHealth("a", "Unhealthy");
    await board.untilNode(counts("3", "2"));
    await board.api.create(pods, pod("late", { containers: [wanting("main", "1", "true")] }));
    const refused = await board.untilPod("late", phaseIs("Failed"));
    expect(refused.status?.reason).toBe("UnexpectedAdmissionError");
    expect(refused.status?.message).toBe(
      `Pod was rejected: Allocate failed due to requested number of devices unavailable for ${resource}. Requested: 1, Available: 0, which is unexpected`,
    );
    await board.remove("late");

    // An agent that starts anew knows who has what.
    await board.restartKubelet();
    plugin.setHealth("a", "Healthy");
    await plugin.stop();
    plugin = newPlugin();
    await plugin.start();
    await board.untilNode(counts("3", "3"));
    await board.api.create(pods, pod("third", { containers: [wanting("main", "1", "echo $THINGS")] }));
    await board.untilPod("third", phaseIs("Succeeded"));
    expect(await board.logsOf("third", "main")).toBe("a\n");
    await board.remove("holder");
    await board.api.create(pods, pod("all", { containers: [wanting("main", "3", "echo $THINGS")] }));
    await board.remove("third");
    await board.remove("all");
  }, 300_000);

  test("a plug-in that goes leaves no healthy device; a pod that needs one is refused as upstream does", async () => {
    await plugin.stop();
    await board.untilNode(counts("3", "0"));
    await board.api.create(pods, pod("orphan", { containers: [wanting("main", "1", "true")] }));
    const refused = await board.untilPod("orphan", phaseIs("Failed"));
    expect(refused.status?.message).toBe(
      `Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices ${resource}, which is unexpected`,
    );
    await board.remove("orphan");
    await board.restartKubelet();
    await board.untilNode(counts("0", "0"));
  }, 300_000);

  test("a plug-in of another version, or with a path for a name, is refused", async () => {
    const kubelet = new GrpcChannel({
      endpoint: new URL(`unix://${join(board.pluginDir, "device-plugins/kubelet.sock")}`),
    });
    const register = async (version: string, endpoint: string, resourceName: string): Promise<string> => {
      const request = RegisterRequest.encode({ version, endpoint, resourceName });
      return kubelet.unary(devicePaths.register, request, 60_000).then(
        () => "taken",
        (error: Error) => error.message,
      );
    };
    expect(await register("v1alpha", "x.sock", resource)).toContain('"v1alpha" is not supported');
    expect(await register("v1beta1", "../x.sock", resource)).toContain("no name of a file");
    expect(await register("v1beta1", "x.sock", "cpu")).toContain('ResourceName "cpu" is invalid');
    kubelet.close();
  }, 300_000);
});
