/**
 * What a pod's start costs beside Docker's own work for the same two containers (a sandbox without network and a
 * container that joins it): in turn, so that both see the same machine. Run it where both the API and the daemon are:
 *   tools/cluster exec --name NAME master-1 -- bun bench/pod-start.ts --kubeconfig FILE
 *     [--image registry.k8s.io/pause:3.10.1] [--rounds 20] [--burst 30] [--docker /var/run/docker.sock]
 * The image must be on the board.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import Docker from "dockerode";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string", default: "admin.kubeconfig" },
    image: { type: "string", default: "registry.k8s.io/pause:3.10.1" },
    rounds: { type: "string", default: "20" },
    burst: { type: "string", default: "30" },
    docker: { type: "string", default: "/var/run/docker.sock" },
  },
});
const docker = new Docker({ socketPath: values.docker });
const { servers, credentials } = loadKubeconfig(values.kubeconfig);
const client = new HttpClient({ servers, credentials });
const namespace = "default";

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: state }) => type === "Ready" && state === "True") ?? false;

/** Creates pods and times each from its create to Ready. @returns milliseconds. */
async function startPods(names: readonly string[]): Promise<number[]> {
  const { metadata } = await client.list(pods, { namespace });
  const ending = new AbortController();
  const began_ms = new Map<string, number>();
  const took_ms = new Map<string, number>();
  const seen = (async () => {
    const { resourceVersion = "0" } = metadata;
    for await (const { object } of client.watch(pods, { namespace, resourceVersion, signal: ending.signal })) {
      const { name = "" } = object.metadata;
      const began = began_ms.get(name);
      if (began === undefined || took_ms.has(name) || !isReady(object)) continue;
      took_ms.set(name, performance.now() - began);
      if (took_ms.size === names.length) return;
    }
  })();
  await Promise.all(
    names.map(async (name) => {
      began_ms.set(name, performance.now());
      await client.create(pods, {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { namespace, name },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 0,
          tolerations: [{ operator: "Exists" }],
          containers: [{ name: "main", image: values.image }],
        },
      });
    }),
  );
  await seen;
  ending.abort();
  return [...took_ms.values()];
}

async function endPods(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => client.delete(pods, { namespace, name })));
  while ((await client.list(pods, { namespace })).items.some(({ metadata }) => names.includes(metadata.name ?? ""))) {
    await Bun.sleep(50);
  }
}

/** Docker's own time for a pod's two containers. @returns milliseconds, and the containers to remove. */
async function startByDocker(name: string): Promise<{ took_ms: number; containers: Docker.Container[] }> {
  const began_ms = performance.now();
  const sandbox = await docker.createContainer({
    name: `${name}-sandbox`,
    Image: values.image,
    HostConfig: { NetworkMode: "none", IpcMode: "shareable" },
  });
  await sandbox.start();
  const joined = `container:${sandbox.id}`;
  const main = await docker.createContainer({
    name,
    Image: values.image,
    HostConfig: { NetworkMode: joined, IpcMode: joined },
  });
  await main.start();
  return { took_ms: performance.now() - began_ms, containers: [main, sandbox] };
}

async function endByDocker(containers: readonly Docker.Container[]): Promise<void> {
  for (const container of containers) await container.remove({ force: true });
}

function quantile(times_ms: readonly number[], part: number): number {
  const sorted = [...times_ms].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN);
}

function tell(what: string, pod_ms: readonly number[], docker_ms: readonly number[]): void {
  const row = (times: readonly number[]) => ({ p50: quantile(times, 0.5), p90: quantile(times, 0.9) });
  const more_ms = quantile(pod_ms, 0.5) - quantile(docker_ms, 0.5);
  console.log(
    JSON.stringify({ what, pod: row(pod_ms), docker: row(docker_ms), more_ms, load: loadavg()[0]?.toFixed(1) }),
  );
}

const single: { pod: number[]; docker: number[] } = { pod: [], docker: [] };
for (let round = -1; round < Number(values.rounds); round++) {
  const name = `start-${round + 1}`;
  const pod_ms = await startPods([name]);
  await endPods([name]);
  const { took_ms, containers } = await startByDocker(name);
  await endByDocker(containers);
  // The first of each side only warms up.
  if (round < 0) continue;
  single.pod.push(...pod_ms);
  single.docker.push(took_ms);
}
tell("one at a time", single.pod, single.docker);

const names = Array.from({ length: Number(values.burst) }, (_, index) => `burst-${index}`);
const burst_ms = await startPods(names);
await endPods(names);
const began_ms = performance.now();
const all = await Promise.all(
  names.map(async (name) => {
    const { containers } = await startByDocker(name);
    return { took_ms: performance.now() - began_ms, containers };
  }),
);
for (const { containers } of all) await endByDocker(containers);
tell(
  `${names.length} at once`,
  burst_ms,
  all.map(({ took_ms }) => took_ms),
);
tell(`the last of ${names.length}`, [Math.max(...burst_ms)], [Math.max(...all.map(({ took_ms }) => took_ms))]);
process.exit(0);
