import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Readable } from "node:stream";
import { canRunContainerd, startContainerd } from "../../../test/support/containerd.ts";
import { busyboxArchive, testImage } from "../../../test/support/dockerd.ts";
import { linuxHost } from "../../host/linux-host.ts";
import { writeDefaultCniConfig } from "../../network/default-cni-config.ts";
import { describeRuntimeContract } from "../runtime-contract.ts";
import { CriRuntime } from "./cri-runtime.ts";

describe.skipIf(!canRunContainerd())("containerd", () => {
  describeRuntimeContract("containerd", async () => {
    const containerd = await startContainerd();
    await writeDefaultCniConfig(
      { podCIDRs: ["10.89.0.0/24"], leaseDirectory: join(containerd.directory, "leases") },
      containerd.cniConfigDirectory,
    );
    const host = linuxHost();
    const runtime = new CriRuntime({
      socketPath: containerd.socketPath,
      host,
      logRoot: join(containerd.directory, "pods"),
      warn: console.warn,
      dial: (_host, port) => host.connectInNetworkNamespace(`/run/netns/${containerd.namespaceName}`, port, 10_000),
    });
    return {
      runtime,
      image: testImage,
      attachesFromTheStart: false,
      close: () => {
        runtime.close();
        return containerd.stop();
      },
    };
  });

  test("images of an archive", async () => {
    const containerd = await startContainerd();
    const runtime = new CriRuntime({
      socketPath: containerd.socketPath,
      host: linuxHost(),
      logRoot: "/nowhere",
      warn: console.warn,
    });
    try {
      const name = "docker.io/bramble-test/other:1";
      const load = (bytes: Uint8Array) => runtime.loadImage(Readable.from([Buffer.from(bytes)]));
      expect(await load(busyboxArchive(name, { User: "7" }))).toEqual([name]);
      expect(await runtime.imageStatus(name)).toMatchObject({ user: { uid: 7 }, tags: [name] });
      await expect(load(Buffer.from("no archive"))).rejects.toThrow("load image");
    } finally {
      runtime.close();
      await containerd.stop();
    }
  }, 300_000);
});
