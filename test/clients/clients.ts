/** The programs of client libraries: how each is run at a cluster, and whether it is installed. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { image, serveOwnName } from "../e2e/board-cluster.ts";

const cache = process.env["CLIENTS_CACHE"] ?? join(homedir(), ".cache", "bramble-clients");
const python = join(cache, "python", "bin", "python");

export interface ClientProgram {
  readonly name: string;
  readonly command: readonly string[];
  /** It is installed where this is. */
  readonly needs: string;
}

const pythonProgram = (name: string): ClientProgram => ({
  name,
  command: [python, join(import.meta.dir, "python", `${name}.py`)],
  needs: join(cache, "python.sum"),
});

/** fabric8's client over the HTTP client of the JDK, the one that is strict about HTTP/2. */
const fabric8: ClientProgram = {
  name: "fabric8",
  command: [
    ...["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
    ...["-cp", `${join(cache, "java", "classes")}:${join(cache, "java", "jars")}/*`, "programs.Fabric8"],
    "io.fabric8.kubernetes.client.jdkhttp.JdkHttpClientFactory",
  ],
  needs: join(cache, "java.sum"),
};

export const clients: readonly ClientProgram[] = [
  ...["official", "official_pods", "asynchronous", "light", "kr8s_client", "operator_kopf"].map(pythonProgram),
  fabric8,
];

/** False where test/clients/build.sh has not been run: tools/test.sh runs it, and says why where it cannot. */
export const isInstalled = ({ needs }: ClientProgram): boolean => existsSync(needs);

/** What the programs look at: it says "started", and answers on port 8080 with its name. */
export const webPod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default" },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: "web",
        image,
        command: serveOwnName,
        readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1, timeoutSeconds: 60 },
      },
    ],
  },
} as const;

/** What a program says of a cluster, a line a step; throws with its complaints where it ends badly. */
export async function runClient({ name, command }: ClientProgram, kubeconfig: string): Promise<string> {
  // What a client keeps there of an earlier cluster at the same address is not of this one.
  const folder = mkdtempSync(join(tmpdir(), "client-"));
  const child = Bun.spawn([...command], {
    env: {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: "1",
      TMPDIR: folder,
      HOME: folder,
      KUBECONFIG: kubeconfig,
      POD: webPod.metadata.name,
      IMAGE: image,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complained, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  rmSync(folder, { recursive: true, force: true });
  if (code !== 0) throw new Error(`${name} ended with ${code}:\n${said.slice(-2000)}\n${complained.slice(-4000)}`);
  return said;
}

/** What `record.ts` has kept. */
export const saidUpstream = ({ name }: ClientProgram): string => readFileSync(saidFile(name), "utf8");
export const saidFile = (name: string): string => join(import.meta.dir, "said", `${name}.txt`);
