import { describe } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { testImage } from "../../test/support/dockerd.ts";
import { canRunPodman, startPodman } from "../../test/support/podman.ts";
import { linuxHost } from "../host/linux-host.ts";
import { CniNetwork } from "../network/cni-network.ts";
import { writeDefaultCniConfig } from "../network/default-cni-config.ts";
import { DockerRuntime } from "./docker.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";

describe.skipIf(!canRunPodman())("Podman", () => {
  describeRuntimeContract("Podman", async () => {
    const podman = await startPodman();
    const configDirectory = join(podman.directory, "net.d");
    mkdirSync(configDirectory);
    await writeDefaultCniConfig(
      { podCIDRs: ["10.87.0.0/24"], leaseDirectory: join(podman.directory, "leases") },
      configDirectory,
    );
    const network = new CniNetwork({
      configDirectory,
      binDirectories: [podman.cniBinDirectory],
      stateDirectory: join(podman.directory, "cni"),
      warn: console.warn,
    });
    const { socketPath } = podman;
    const resolvConfDirectory = join(podman.directory, "resolv");
    const host = linuxHost();
    const runtime = new DockerRuntime({ socketPath, network, host, resolvConfDirectory, warn: console.warn });
    return { runtime, image: testImage, attachesFromTheStart: true, close: () => podman.stop() };
  });
});
