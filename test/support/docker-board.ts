import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { CniNetwork } from "#agent/network/cni-network.ts";
import { writeDefaultCniConfig } from "#agent/network/default-cni-config.ts";
import { DockerRuntime } from "#agent/runtime/docker.ts";
import type { TestDockerd } from "./dockerd.ts";

/** The runtime of a board whose daemon this is, with the pod network that a board has by default. */
export async function dockerBoard(dockerd: TestDockerd): Promise<DockerRuntime> {
  const configDirectory = join(dockerd.directory, "net.d");
  mkdirSync(configDirectory);
  await writeDefaultCniConfig(
    { podCIDRs: ["10.88.0.0/24"], leaseDirectory: join(dockerd.directory, "leases") },
    configDirectory,
  );
  return new DockerRuntime({
    socketPath: dockerd.socketPath,
    host: linuxHost(),
    resolvConfDirectory: join(dockerd.directory, "resolv"),
    warn: () => undefined,
    cdiFolders: [join(dockerd.directory, "cdi")],
    network: new CniNetwork({
      configDirectory,
      binDirectories: [dockerd.cniBinDirectory],
      stateDirectory: join(dockerd.directory, "cni"),
      warn: () => undefined,
    }),
  });
}
