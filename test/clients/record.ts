/**
 * Records what the programs find at upstream's cluster with a node, whose kubeconfig is given and whose container runtime has the
 * image that `bun test/clients/record.ts image FILE` writes:
 *
 *     bun test/clients/record.ts KUBECONFIG [NAME…]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { image } from "../e2e/board-cluster.ts";
import { busyboxArchive } from "../support/dockerd.ts";
import { clientBinaries } from "../support/kubectl.ts";
import { clients, runClient, saidFile, webPod } from "./clients.ts";

const [kubeconfig = "", ...names] = process.argv.slice(2);
if (kubeconfig === "image") writeFileSync(names[0] ?? "", busyboxArchive(image));
else await record();

async function record(): Promise<void> {
  const kubectl = (args: readonly string[], stdin = ""): void => {
    const { exitCode, stderr } = Bun.spawnSync([clientBinaries().kubectl, "--kubeconfig", kubeconfig, ...args], {
      stdin: Buffer.from(stdin),
    });
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  kubectl(["apply", "-f", "-"], JSON.stringify(webPod));
  kubectl(["wait", "--for=condition=Ready", `pod/${webPod.metadata.name}`, "--timeout=180s"]);
  mkdirSync(join(import.meta.dir, "said"), { recursive: true });
  for (const client of clients) {
    if (names.length > 0 && !names.includes(client.name)) continue;
    writeFileSync(saidFile(client.name), await runClient(client, kubeconfig));
    console.log(`${client.name} is recorded`);
  }
}
