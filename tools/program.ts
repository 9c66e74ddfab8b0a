/** How the one program is made of the sources. */
import { join } from "node:path";
import type { BunPlugin } from "bun";
import { workerFiles } from "#master/worker-threads.ts";
import { lateScale } from "#shared/process/compiling.ts";
import { type EngineOptions, engineOptions } from "#shared/process/engine-options.ts";
import { withoutUnusedDockerParts } from "./docker-parts.ts";

const root = join(import.meta.dir, "..");

export const architectures = ["x64", "arm64"] as const;
export type Architecture = (typeof architectures)[number];

/** Files that are found at run time among the binary's own, with the scripts that make them before it is built. */
export const embedded = {
  // Descriptions for `kubectl explain`.
  "shared/api/openapi/descriptions.generated.gz": "tools/schema/descriptions.ts",
  "master/dashboard/page.generated.pack": "tools/dashboard.ts",
};

export interface ProgramFacts {
  readonly version: string;
  readonly builtAt_ms: number;
  /** PEM of the public key whose releases alone the program takes. */
  readonly releaseKey?: string | undefined;
  /** What changes the sources on their way, for tests. */
  readonly plugins?: readonly BunPlugin[] | undefined;
}

/** Compiles the program to a file; what is embedded must have been made. Throws what the compiler says. */
export async function buildProgram(
  architecture: Architecture,
  outfile: string,
  { version, builtAt_ms, releaseKey, plugins = [] }: ProgramFacts,
): Promise<void> {
  assertKnown(engineOptions);
  await Bun.build({
    entrypoints: ["bramble.ts", ...Object.values(workerFiles), ...Object.keys(embedded)].map((file) =>
      join(root, file),
    ),
    root,
    compile: { target: `bun-linux-${architecture}`, outfile, jitPolicy: lateScale },
    // A command loads its own parts only: the less code a worker parses, the less memory it holds.
    splitting: true,
    // Compiled ahead, code is read where it lies in the file instead of being made anew in each process's own memory.
    bytecode: true,
    format: "esm",
    // Names stay, so that a stack trace from the field can be read.
    minify: { whitespace: true, syntax: true, identifiers: false },
    plugins: [withoutUnusedDockerParts, ...plugins],
    define: {
      BRAMBLE_VERSION: JSON.stringify(version),
      BRAMBLE_BUILT_AT_MS: String(builtAt_ms),
      BRAMBLE_ENGINE_OPTIONS: JSON.stringify(engineOptions),
      ...(releaseKey ? { BRAMBLE_RELEASE_KEY: JSON.stringify(releaseKey) } : {}),
    },
  });
}

/** Throws where the engine of this Bun, which the program gets, does not know one of them: it would end at every start. */
export function assertKnown(options: EngineOptions): void {
  const { exitCode, stderr } = Bun.spawnSync({
    cmd: [process.execPath, "--print", "0"],
    env: { ...process.env, ...options },
    stdout: "ignore",
    stderr: "pipe",
  });
  if (exitCode !== 0) throw new Error(`Bun ${Bun.version} does not take these options: ${stderr.toString()}`);
}
