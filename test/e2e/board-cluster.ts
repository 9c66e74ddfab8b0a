import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { inUrl } from "#shared/http/host-port.ts";
import type { Board } from "#tools/local-cluster/board.ts";
import { Cluster } from "#tools/local-cluster/cluster.ts";
import { addressIn } from "#tools/local-cluster/lan.ts";
import { masterBoards } from "#tools/local-cluster/master-boards.ts";
import { CommandError } from "#tools/local-cluster/run.ts";
import { busyboxArchive } from "../support/dockerd.ts";
import { type Family, takeNetwork } from "../support/free-network.ts";
import { clientBinaries } from "../support/kubectl.ts";

export const image = "docker.io/bramble-test/web:1";
/** BRAMBLE_BINARY tries another build than dist/. */
export const binary = resolve(process.env["BRAMBLE_BINARY"] ?? join(import.meta.dir, "../../dist/bramble-linux-x64"));

/** A cluster of the compiled binary with real kubectl and Helm, one for a test file. */
export interface TestCluster {
  readonly cluster: Cluster;
  /** The boards' prefix: the master is .11 (::11 in IPv6) there, workers are .101 and following. */
  readonly prefix: string;
  readonly kubeconfig: string;
  /** The administrator's client, for what is looked at too often for kubectl. */
  readonly client: HttpClient;
  /** Runs the binary on a board, for at most `patience_s`. */
  bramble(board: string, ...args: string[]): Promise<BrambleRun>;
  /** Runs kubectl; throws with what it said. */
  kubectl(...args: string[]): string;
  apply(manifest: object | readonly object[]): void;
  /** Polls `kubectl args` until its output matches; throws with the last output. */
  until(pattern: RegExp | ((output: string) => boolean), ...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

export interface BrambleRun {
  /** 124: it went on until it was ended. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * BRAMBLE_E2E_GUESTS=1 runs the suite with workers that are emulated Debian machines: systemd, cgroups v2, Docker as the
 * distribution ships it, Bramble installed by install.sh. The master stays a board of namespaces.
 */
export const guests = process.env["BRAMBLE_E2E_GUESTS"] === "1";
/** A busy or emulated board takes seconds for what is there in milliseconds elsewhere; its containers are not to be
 *  restarted for that. */
export const probe_s = 60;
/** How long to wait for what must come; an emulated machine takes its time. */
export const patience_s = guests ? 1_200 : 180;
const runFor_s = 120;
/** A kubectl that takes longer, also where it waits for something, hangs: it is ended, lest the run have no end. */
const hung_s = patience_s + 60;
const logLines = 15;
/** More than any board writes, and a number that journalctl takes. */
const allLines = 1_000_000_000;

export interface TestClusterOptions {
  /** At most six characters. */
  readonly name: string;
  /** Of the boards' addresses, in networks that nothing else on the machine uses; they have no other. Default: IPv4. */
  readonly family?: Family | undefined;
  /** One, unless said otherwise. */
  readonly masters?: number | undefined;
  /** A single master too keeps its state in Bramble's own etcd; several always do. */
  readonly etcd?: boolean | undefined;
  /** Further flags of every master. */
  readonly masterArgs?: readonly string[] | undefined;
  readonly workers: number;
  /** Further flags of every worker. */
  readonly workerArgs?: readonly string[] | undefined;
  /** Each worker in a subnet of its own: what goes from one to the other passes a router. */
  readonly apart?: boolean | undefined;
  readonly masterAgent?: boolean | undefined;
  /** Masters are emulated machines too, whatever BRAMBLE_E2E_GUESTS says of workers. */
  readonly guestMasters?: boolean | undefined;
  readonly hostname?: string | undefined;
  /** Workers are not told where the master is: they find it by mDNS. */
  readonly finds?: boolean | undefined;
  /** What boards run in the binary's place. */
  readonly program?: string | undefined;
  /** The test looks at its workers only in ways that an emulated machine has too. */
  readonly takesGuests?: boolean | undefined;
}

/** Starts boards and waits for the API server. Where BRAMBLE_E2E_LOGS names a folder, the boards' logs go there in the end. */
export async function startCluster(options: TestClusterOptions): Promise<TestCluster> {
  const { workers, hostname } = options;
  const chance = crypto.getRandomValues(new Uint16Array(1));
  const name = options.name + (chance[0] ?? 0).toString(36);
  const network = await takeNetwork(options.apart ? 1 + workers : 1, options.family);
  const prefix = network.prefix(0);
  // Not below /tmp, which a board covers with its own.
  const dir = mkdtempSync(`/var/tmp/bramble-${name}-`);
  rmSync(dir, { recursive: true });
  const cluster = await Cluster.up(
    {
      name,
      prefix,
      binary: options.program ?? binary,
      boards: [
        ...masterBoards(prefix, {
          count: options.masters ?? 1,
          etcd: options.etcd,
          args: [...(options.masterAgent ? [] : ["--no-agent"]), ...(options.masterArgs ?? [])],
          hostname,
        }).map((board): Board => (options.guestMasters ? { ...board, machine: "guest" } : board)),
        ...Array.from({ length: workers }, (_, index) => ({
          name: `worker-${index + 1}`,
          role: "worker" as const,
          address: addressIn(network.prefix(options.apart ? 1 + index : 0), 101 + index),
          hostname: hostname ?? `worker-${index + 1}`,
          machine: guests && options.takesGuests ? ("guest" as const) : ("namespaces" as const),
          args: [
            "worker",
            ...(options.finds ? [] : ["--server", `https://${inUrl(addressIn(prefix, 11))}:6443`]),
            ...(options.workerArgs ?? []),
          ],
        })),
      ],
    },
    dir,
    () => undefined,
  ).catch(async (error: unknown) => {
    // What has come up of it must not outlive the test.
    await Cluster.open(dir).down(() => undefined);
    network.release();
    throw error;
  });
  const archive = join(dir, "web.tar");
  writeFileSync(archive, busyboxArchive(image));
  await cluster.load(archive, () => undefined);
  const kubeconfig = join(dir, "kubeconfig");
  cluster.copyKubeconfig(kubeconfig);

  const kubectl = (...args: string[]): string => {
    const command = [clientBinaries().kubectl, "--kubeconfig", kubeconfig, ...args];
    const result = Bun.spawnSync({ cmd: command, stdin: "ignore", timeout: hung_s * 1000 });
    if (result.exitCode !== 0)
      throw new CommandError(command.slice(3), result.exitCode ?? -1, result.stderr.toString());
    return result.stdout.toString();
  };
  const { servers, credentials } = loadKubeconfig(kubeconfig);
  const logs = (): string => cluster.hosts.map((host) => `--- ${host.board.name}\n${host.log(logLines)}`).join("\n");
  return {
    cluster,
    prefix,
    kubeconfig,
    client: new HttpClient({ servers, credentials }),
    async bramble(board, ...args) {
      const host = cluster.host(board);
      const command = host.inside(["timeout", String(runFor_s), host.binary, ...args]);
      const child = Bun.spawn({ cmd: command, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { code: await child.exited, stdout, stderr };
    },
    kubectl,
    apply(manifest) {
      const file = join(dir, "manifest.json");
      const items = Array.isArray(manifest) ? manifest : [manifest];
      writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
      kubectl("apply", "-f", file);
    },
    async until(pattern, ...args) {
      const matches = typeof pattern === "function" ? pattern : (output: string) => pattern.test(output);
      const end_ms = performance.now() + patience_s * 1000;
      for (;;) {
        let output: string;
        try {
          output = kubectl(...args);
          if (matches(output)) return output;
        } catch (error) {
          output = (error as Error).message;
        }
        if (performance.now() > end_ms)
          throw new Error(
            `kubectl ${args.join(" ")}: not as awaited within ${patience_s} s; last:\n${output}\n${logs()}`,
          );
        await Bun.sleep(300);
      }
    },
    stop: async () => {
      const keep = process.env["BRAMBLE_E2E_LOGS"];
      if (keep !== undefined) {
        mkdirSync(keep, { recursive: true });
        for (const host of cluster.hosts)
          writeFileSync(join(keep, `${options.name}-${host.board.name}.log`), host.log(allLines));
      }
      await cluster.down(() => undefined);
      network.release();
    },
  };
}

const script = "mkdir -p /www && hostname > /www/index.html && echo started && exec httpd -f -p 8080 -h /www";
/** Says "started", then answers on port 8080 with its pod's name. */
export const serveOwnName = ["sh", "-c", script];

/** A Deployment of a small web server that answers with its pod's name, and a Service with a node port for it. */
export function webApp(name: string, replicas: number): object[] {
  const labels = { app: name };
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name },
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: "web",
                image,
                command: serveOwnName,
                ports: [{ containerPort: 8080 }],
                readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1, timeoutSeconds: probe_s },
                livenessProbe: {
                  exec: { command: ["test", "!", "-e", "/tmp/sick"] },
                  periodSeconds: 1,
                  timeoutSeconds: probe_s,
                  failureThreshold: 2,
                },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { type: "NodePort", selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ];
}

/** A web app with one pod on each board if it can be; its pods leave a board that is away after so long. */
export function spreadApp(name: string, away_s: number): object[] {
  const [deployment, service] = webApp(name, 2) as [{ spec: { template: { spec: object } } }, object];
  const { template } = deployment.spec;
  const tolerations = ["not-ready", "unreachable"].map((condition) => ({
    key: `node.kubernetes.io/${condition}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: away_s,
  }));
  const topologySpreadConstraints = [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: { app: name } },
    },
  ];
  return [
    {
      ...deployment,
      spec: {
        ...deployment.spec,
        template: { ...template, spec: { ...template.spec, tolerations, topologySpreadConstraints } },
      },
    },
    service,
  ];
}
