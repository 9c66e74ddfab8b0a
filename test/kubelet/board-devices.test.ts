import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { pods } from "#shared/api/resources.ts";
import type { Container, Node } from "#shared/api/types/core-v1.generated.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { KubeletBoard, phaseIs, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const gpio = "board.bramble.dev/gpio";
const coral = "board.bramble.dev/coral";

describe.skipIf(!canRunDockerd())("what hangs on the board itself", () => {
  let board: KubeletBoard;

  /** A device file that behaves as `like` does. */
  function device(name: string, like: string): void {
    const path = join(board.hardware, "dev", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(like, path);
  }

  const allocatable =
    (resource: string, count: string | undefined) =>
    ({ status }: Node): boolean =>
      status?.allocatable?.[resource] === count;

  const wanting = (resource: string, script: string): Container =>
    shell("main", script, { resources: { limits: { [resource]: "1" }, requests: { [resource]: "1" } } });

  beforeAll(async () => {
    board = await KubeletBoard.start();
    await board.untilNode(({ status }) => status?.allocatable?.["cpu"] !== undefined);
  }, 300_000);

  afterAll(async () => {
    await board?.stop();
  }, 300_000);

  test("a pod has the files that it asked for, may use them, and another one has none", async () => {
    const before = await board.untilNode(allocatable(gpio, undefined));
    expect(Object.keys(before.status?.allocatable ?? {}).filter((name) => name.includes("/"))).toEqual([]);
    device("gpiochip0", "/dev/zero");
    board.kubelet?.reportNode();
    const node = await board.untilNode(allocatable(gpio, "10"));
    expect(node.metadata.labels?.[gpio]).toBe("true");

    const use = "ls /dev | grep -c gpio; head -c 3 /dev/gpiochip0 | wc -c; echo x > /dev/gpiochip0 && echo written";
    await board.api.create(pods, pod("asks", { containers: [wanting(gpio, use)] }));
    await board.untilPod("asks", phaseIs("Succeeded"));
    expect(await board.logsOf("asks", "main")).toMatch(/^1\n\s*3\nwritten\n$/);
    await board.api.create(pods, pod("asks-not", { containers: [shell("main", "ls /dev | grep -c gpio; true")] }));
    await board.untilPod("asks-not", phaseIs("Succeeded"));
    expect(await board.logsOf("asks-not", "main")).toBe("0\n");
    await board.remove("asks");
    await board.remove("asks-not");
  }, 300_000);

  test("one pod alone has a Coral; none has it once it is gone", async () => {
    device("apex_0", "/dev/null");
    board.kubelet?.reportNode();
    await board.untilNode(allocatable(coral, "1"));
    await board.api.create(pods, pod("holder", { containers: [wanting(coral, `test -c /dev/apex_0 && ${wait}`)] }));
    await board.untilPod("holder", phaseIs("Running"));
    await board.api.create(pods, pod("late", { containers: [wanting(coral, "true")] }));
    const refused = await board.untilPod("late", phaseIs("Failed"));
    expect(refused.status?.reason).toBe("UnexpectedAdmissionError");
    expect(refused.status?.message).toBe(
      `Pod was rejected: Allocate failed due to requested number of devices unavailable for ${coral}. Requested: 1, Available: 0, which is unexpected`,
    );

    // An agent that starts anew knows who has it.
    await board.restartKubelet();
    await board.untilNode(allocatable(coral, "1"));
    await board.api.create(pods, pod("later", { containers: [wanting(coral, "true")] }));
    const again = await board.untilPod("later", phaseIs("Failed"));
    expect(again.status?.message).toContain("Requested: 1, Available: 0");

    rmSync(join(board.hardware, "dev", "apex_0"));
    board.kubelet?.reportNode();
    const node = await board.untilNode(allocatable(coral, "0"));
    expect(node.status?.allocatable?.[gpio]).toBe("10");
    for (const name of ["holder", "late", "later"]) await board.remove(name);
  }, 300_000);
});
