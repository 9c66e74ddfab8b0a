/** A kubelet in a process of its own, which can be killed at any moment. Its only argument is a file with what KubeletProcess says. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Seal } from "#agent/checkpoint/seal.ts";
import { linuxHost } from "#agent/host/linux-host.ts";
import { Kubelet } from "#agent/kubelet/kubelet.ts";
import { CniNetwork } from "#agent/network/cni-network.ts";
import { writeDefaultCniConfig } from "#agent/network/default-cni-config.ts";
import { DockerRuntime } from "#agent/runtime/docker.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { stderrLog } from "#shared/client/log.ts";

export interface KubeletProcess {
  readonly directory: string;
  readonly socketPath: string;
  readonly cniBinDirectory: string;
  readonly url: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly nodeName: string;
}

const [file = ""] = process.argv.slice(2);
const { directory, socketPath, cniBinDirectory, url, ca, certificate, key, nodeName } = JSON.parse(
  readFileSync(file, "utf8"),
) as KubeletProcess;
const inside = (name: string): string => join(directory, name);
mkdirSync(inside("net.d"), { recursive: true });
await writeDefaultCniConfig({ podCIDRs: ["10.88.0.0/24"], leaseDirectory: inside("run/leases") }, inside("net.d"));
const log = stderrLog("warn");
const network = new CniNetwork({
  configDirectory: inside("net.d"),
  binDirectories: [cniBinDirectory],
  stateDirectory: inside("run/cni"),
  warn: (message) => log.warn(message),
});
const runtime = new DockerRuntime({
  socketPath,
  host: linuxHost(),
  resolvConfDirectory: inside("run/resolv"),
  warn: (message) => log.warn(message),
  network,
});
const kubelet = new Kubelet({
  client: new HttpClient({ servers: [url], credentials: () => ({ ca, certificate, key }) }),
  seal: await Seal.open(inside("checkpoint.key"), "test"),
  runtime,
  host: linuxHost(),
  nodeName,
  dataDir: inside("kubelet"),
  runDir: inside("run"),
  imagesFolder: inside("images"),
  staticPodsFolder: inside("static"),
  clusterDns: ["10.43.0.10"],
  clusterDomain: "cluster.local",
  nodeIPs: () => ["192.0.2.1"],
  log,
});
await kubelet.start();
