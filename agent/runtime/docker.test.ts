import { describe } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { canRunDockerd, startDockerd, testImage } from "../../test/support/dockerd.ts";
import { linuxHost } from "../host/linux-host.ts";
import { CniNetwork } from "../network/cni-network.ts";
import { writeDefaultCniConfig } from "../network/default-cni-config.ts";
import { DockerRuntime } from "./docker.ts";
import { describeRuntimeContract } from "./runtime-contract.ts";

describe.skipIf(!canRunDockerd())("Docker", () => {
  describeRuntimeContract("Docker", async () => {
    const dockerd = await startDockerd();
    const configDirectory = join(dockerd.directory, "net.d");
    mkdirSync(configDirectory);
    await writeDefaultCniConfig(
      { podCIDRs: ["10.88.0.0/24"], leaseDirectory: join(dockerd.directory, "leases") },
      configDirectory,
    );
    const network = new CniNetwork({
      configDirectory,
      binDirectories: [dockerd.cniBinDirectory],
      stateDirectory: join(dockerd.directory, "cni"),
      warn: console.warn,
    });
    const { socketPath } = dockerd;
    const resolvConfDirectory = join(dockerd.directory, "resolv");
    const host = linuxHost();
    const runtime = new DockerRuntime({ socketPath, network, host, resolvConfDirectory, warn: console.warn });
    return { runtime, image: testImage, attachesFromTheStart: true, close: () => dockerd.stop() };
  });
});
