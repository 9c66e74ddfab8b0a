import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { parse } from "yaml";
import { silentLog } from "#shared/client/log.ts";
import { canRunDockerd, startDockerd, type TestDockerd, testImage } from "../../test/support/dockerd.ts";
import { linuxHost } from "../host/linux-host.ts";
import { CniNetwork } from "../network/cni-network.ts";
import { DockerRuntime } from "../runtime/docker.ts";
import { removeComponentPods, startComponentPods } from "./component-pods.ts";

describe.if(canRunDockerd())("components as pods", () => {
  let dockerd: TestDockerd;
  let docker: Docker;
  let folder: string;
  const warn = (): void => undefined;
  const runtime = (): DockerRuntime =>
    new DockerRuntime({
      socketPath: dockerd.socketPath,
      network: new CniNetwork({ stateDirectory: dockerd.directory, warn }),
      host: linuxHost(),
      resolvConfDirectory: dockerd.directory,
      warn,
    });
  const start = async (names: readonly string[], isDone: () => boolean): Promise<void> => {
    const components = names.map((name) => ({ name, tier: "node", args: [name], mounts: [] }) as const);
    const part = startComponentPods({ runtime: runtime(), folder, components, log: silentLog });
    while (!isDone()) await Bun.sleep(50);
    await part.stop();
  };
  const run = async (namespace: string, name: string): Promise<void> => {
    const container = await docker.createContainer({
      Image: testImage,
      Cmd: ["sleep", "1000"],
      StopSignal: "SIGKILL",
      HostConfig: { NetworkMode: "none" },
      name: `k8s_${name}_${name}-board_${namespace}_${name}uid_0`,
      Labels: {
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.name": name,
        "io.kubernetes.pod.name": `${name}-board`,
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.uid": `${name}uid`,
      },
    });
    await container.start();
  };

  beforeAll(async () => {
    dockerd = await startDockerd();
    docker = new Docker({ socketPath: dockerd.socketPath });
    folder = join(dockerd.directory, "static-pods");
    mkdirSync(folder);
    writeFileSync(join(folder, "mine.yaml"), "apiVersion: v1\nkind: Pod\n");
  });
  afterAll(() => dockerd.stop());

  test("have manifests that follow what a board runs; others' stay", async () => {
    await start(["kube-proxy", "kube-dns"], () => existsSync(join(folder, "kube-dns.yaml")));
    const { spec } = parse(readFileSync(join(folder, "kube-dns.yaml"), "utf8"));
    expect(spec.containers[0]).toMatchObject({
      command: ["/usr/local/bin/bramble", "kube-dns"],
      imagePullPolicy: "Never",
    });
    await start(["kube-proxy"], () => !existsSync(join(folder, "kube-dns.yaml")));
    expect(readdirSync(folder).sort()).toEqual(["kube-proxy.yaml", "mine.yaml"]);
  });

  test("end before one process is what they were; no other container does", async () => {
    await run("kube-system", "kube-proxy");
    await run("default", "kube-proxy-of-mine");
    await run("kube-system", "other");
    await removeComponentPods(folder, async () => runtime(), silentLog);
    expect(readdirSync(folder)).toEqual(["mine.yaml"]);
    const left = (await docker.listContainers({ all: true })).map(
      ({ Labels }) => Labels["io.kubernetes.container.name"],
    );
    expect(left.sort()).toEqual(["kube-proxy-of-mine", "other"]);
    // With nothing of theirs left, the runtime is not asked.
    await removeComponentPods(folder, () => Promise.reject(new Error("asked")), silentLog);
  });
});
