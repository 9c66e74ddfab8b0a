#!/usr/bin/env bun
/** The program: runs the command that it is given, and tells people what went wrong. */
// First: the X.509 library looks for it when it is loaded, in whatever order a bundle loads things.
import "reflect-metadata";
import { keepLoopbackDirect } from "#shared/http/environment-proxy.ts";
import { type EngineOptions, heapOptions, runsLong, startWithOptions } from "#shared/process/engine-options.ts";
import { usableMemory } from "#shared/process/usable-memory.ts";

/** Set by the build, which has tried them on the engine that the program has in it. */
declare const BRAMBLE_ENGINE_OPTIONS: EngineOptions | undefined;
// What the commands need is loaded after it, for else it would be loaded twice.
if (typeof BRAMBLE_ENGINE_OPTIONS === "object" && runsLong(process.argv.slice(2)))
  startWithOptions({ ...BRAMBLE_ENGINE_OPTIONS, ...heapOptions(usableMemory()) });

keepLoopbackDirect(process.env);

const { commandLine, runAsked } = await import("./command-line.ts");

/** Errors whose message tells a person what to do. Of any other its stack is shown, to be reported. */
const forPeople =
  /^(Config|Kubeconfig|Status|Connection|JoinToken|BoardIdentity|CertificateOrder|KeyService|Pki|Release|User)Error$/;

/** Errors may name the status that service managers know (StateLostError). */
const statusOf = (error: unknown): number =>
  error instanceof Error && "exitStatus" in error && typeof error.exitStatus === "number" ? error.exitStatus : 1;

// Whoever reads what a command prints may have enough of it: `bramble status | head -1`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

await commandLine()
  .parseAsync()
  .then(() => runAsked())
  .catch((error: unknown) => {
    // Never the error itself: Bun would print the lines of the bundle around it.
    if (!(error instanceof Error)) console.error(`bramble: ${String(error)}`);
    else if (error.name === "ConnectionError")
      console.error(`bramble: ${error.message}. Does the master run, and is this its address?`);
    else console.error(forPeople.test(error.name) ? `bramble: ${error.message}` : (error.stack ?? error.message));
    process.exit(statusOf(error));
  });
