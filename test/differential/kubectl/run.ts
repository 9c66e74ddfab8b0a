import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commands, type KubectlCommand } from "./commands.ts";

export interface KubectlAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs every command in a namespace of its own, and gives what each said by what it was. */
export async function runAll(
  kubectl: string,
  connection: readonly string[],
): Promise<Readonly<Record<string, KubectlAnswer>>> {
  const home = await mkdtemp(join(tmpdir(), "kubectl-"));
  const answers: Record<string, KubectlAnswer> = {};
  const run = (command: KubectlCommand): Promise<KubectlAnswer> => runOne(kubectl, connection, command, home);
  await run({ args: ["create", "namespace", "commands"] });
  for (const [index, command] of commands.entries()) {
    answers[`${index} ${command.args.join(" ")}`] = await run({
      ...command,
      args: ["-n", "commands", ...command.args],
    });
  }
  await rm(home, { recursive: true });
  return answers;
}

async function runOne(
  kubectl: string,
  connection: readonly string[],
  { args, input, editor }: KubectlCommand,
  home: string,
): Promise<KubectlAnswer> {
  const child = Bun.spawn([kubectl, ...connection, ...args], {
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: home, ...(editor && { KUBE_EDITOR: editor }) },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout: plain(stdout), stderr: plain(stderr) };
}

/** Without times, addresses, and names that somebody chose. */
const plain = (text: string): string =>
  text
    .replace(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?/g, "TIME")
    .replace(/\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+( \S+)?/g, "TIME")
    .replace(/\/tmp\/\S+/g, "FILE")
    .replace(/https:\/\/127\.0\.0\.1:\d+/g, "SERVER")
    .replace(/127\.0\.0\.1:\d+/g, "SERVER")
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UID")
    .replace(/"resourceVersion":"\d+"/g, '"resourceVersion":"REVISION"')
    .replace(/^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+/gm, "LOG")
    .replace(/(resourceVersion: )"\d+"/g, '$1"REVISION"')
    .replace(/\b(\d+(ms|[smhd]))+(?= *$)/gm, "AGE");
