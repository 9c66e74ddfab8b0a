import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Docker from "dockerode";
import { silentLog } from "#shared/client/log.ts";
import { canRunDockerd, startDockerd, type TestDockerd } from "../../test/support/dockerd.ts";
import { linuxHost } from "../host/linux-host.ts";
import { DockerRuntime } from "../runtime/docker.ts";
import { ensureComponentImage, programInImage, removeOtherImages } from "./component-image.ts";

describe.if(canRunDockerd())("the image of the components", () => {
  let dockerd: TestDockerd;
  let runtime: DockerRuntime;
  let reference: string;

  beforeAll(async () => {
    dockerd = await startDockerd();
    runtime = new DockerRuntime({
      socketPath: dockerd.socketPath,
      network: {
        attach: () => Promise.reject(new Error("no sandbox is made here")),
        detach: () => Promise.resolve(),
        check: () => Promise.resolve(true),
        notReadyReason: () => Promise.resolve(undefined),
      } as never,
      host: linuxHost(),
      resolvConfDirectory: dockerd.directory,
      warn: () => undefined,
    });
    reference = await ensureComponentImage(runtime, silentLog);
  });
  afterAll(() => dockerd.stop());

  const run = async (...command: string[]): Promise<string> => {
    const docker = new Docker({ socketPath: dockerd.socketPath });
    const container = await docker.createContainer({
      Image: reference,
      Entrypoint: command,
      HostConfig: { NetworkMode: "host", CapAdd: ["NET_ADMIN"] },
      Tty: true,
    });
    await container.start();
    const { StatusCode } = await container.wait();
    const output = (await container.logs({ stdout: true, stderr: true })).toString();
    await container.remove();
    expect({ command, output, StatusCode }).toMatchObject({ StatusCode: 0 });
    return output;
  };

  test("holds this program, and it runs there without anything else of the board", async () => {
    expect(await run(programInImage, "--version")).toContain(Bun.version);
  });

  test("holds the tools that components start, and what those load", async () => {
    expect(await run("ip", "address", "show", "dev", "lo")).toContain("127.0.0.1");
    // A match is an extension that is loaded by its name.
    await run(
      "iptables",
      "-w",
      "-A",
      "INPUT",
      "-m",
      "conntrack",
      "--ctstate",
      "INVALID",
      "-m",
      "comment",
      "--comment",
      "x",
    );
    expect(await run("iptables-save")).toContain("INVALID");
    await run("conntrack", "-L");
  });

  test("is not made twice, and makes those of other versions superfluous", async () => {
    const docker = new Docker({ socketPath: dockerd.socketPath });
    const { Id } = await docker.getImage(reference).inspect();
    expect(await ensureComponentImage(runtime, silentLog)).toBe(reference);
    await docker.getImage("docker.io/bramble-test/busybox:1").tag({ repo: "bramble.local/bramble", tag: "old" });
    await docker.getImage(reference).tag({ repo: "bramble.local/bramble", tag: "same" });
    expect(await removeOtherImages(runtime, reference, silentLog)).toBe(true);
    const tags = (await docker.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
    expect(tags).toContain(reference);
    expect(tags.filter((tag) => tag.startsWith("bramble.local/bramble:"))).toEqual([reference]);
    expect((await docker.getImage(reference).inspect()).Id).toBe(Id);
  });
});
