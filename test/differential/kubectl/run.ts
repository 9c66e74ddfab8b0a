import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { areas } from "./areas.ts";
import type { KubectlArea, KubectlCommand } from "./command.ts";

export interface KubectlAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a server is reached: PEM files, and a token or a key. */
export interface Connection {
  readonly server: string;
  readonly ca: string;
  readonly user: Readonly<Record<string, string>>;
}

/** Runs an area's commands and gives what each said, by its place and what it was. */
export async function runArea(
  kubectl: string,
  connection: Connection,
  name: string,
): Promise<Readonly<Record<string, KubectlAnswer>>> {
  const area = areas[name] as KubectlArea;
  const namespace = name === "everyday" ? "commands" : `commands-${name}`;
  const home = await mkdtemp(join(tmpdir(), "kubectl-"));
  const kubeconfig = join(home, ".config.json");
  const work = join(home, "work");
  await mkdir(work);
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(connection, namespace)));
  for (const [path, content] of Object.entries(area.files ?? {})) {
    await mkdir(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), typeof content === "string" ? content : JSON.stringify(content));
  }
  const at: Place = { kubectl, home, work, kubeconfig };
  await runOne(at, { args: ["create", "namespace", namespace] });
  const answers: Record<string, KubectlAnswer> = {};
  for (const [index, command] of area.commands.entries())
    answers[`${index} ${command.script ?? command.args.join(" ")}`] = await runOne(at, command);
  await rm(home, { recursive: true });
  return answers;
}

const kubeconfigOf = ({ server, ca, user }: Connection, namespace: string): object => ({
  apiVersion: "v1",
  kind: "Config",
  "current-context": "here",
  clusters: [{ name: "here", cluster: { server, "certificate-authority": ca } }],
  users: [{ name: "me", user }],
  contexts: [{ name: "here", context: { cluster: "here", user: "me", namespace } }],
});

interface Place {
  readonly kubectl: string;
  readonly home: string;
  readonly work: string;
  readonly kubeconfig: string;
}

async function runOne(
  { kubectl, home, work, kubeconfig }: Place,
  { args, input, editor, script }: KubectlCommand,
): Promise<KubectlAnswer> {
  const child = Bun.spawn(script === undefined ? [kubectl, ...args] : ["sh", "-c", script], {
    cwd: work,
    stdin: input === undefined ? "ignore" : Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: {
      // Not the one of whoever runs this: kubectl looks for plugins in all of it.
      PATH: `${dirname(kubectl)}:/usr/bin:/bin`,
      HOME: home,
      KUBECONFIG: kubeconfig,
      ...(editor && { KUBE_EDITOR: editor }),
    },
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
    .replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} 20\d\d \d\d:\d\d:\d\d [+-]\d{4}/g, "TIME")
    .replace(/\/tmp\/[^\s"']+/g, "FILE")
    .replace(/https:\/\/127\.0\.0\.1:\d+/g, "SERVER")
    .replace(/127\.0\.0\.1:\d+/g, "SERVER")
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UID")
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, "TOKEN")
    .replace(/("?resourceVersion"?: ?)"\d+"/g, '$1"REVISION"')
    .replace(/(Resource Version: +)\d+/g, "$1REVISION")
    .replace(/Expected resource version to be 1, was \d+/, "Expected resource version to be 1, was REVISION")
    .replace(/(node-debugger-[a-z]+|debugger|kube-api-access)-[a-z0-9]{5}\b/g, "$1-NAME")
    .replace(/https:\/\/kubernetes\.default\.svc(\.cluster\.local)?/g, "ISSUER")
    // kubectl fell.
    .replace(/\ngoroutine \d[\s\S]*/, "\nTRACE\n")
    .replace(/^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+/gm, "LOG")
    // A column after it moves with its width.
    .replace(/\b\d+d (\(x\d+ over )\d+d\) */g, "AGE $1AGE) ")
    .replace(/\b\d+(ms|s|m\d+s)\b */g, "AGE ")
    .replace(/(?<=^| {2})(\d+[ymhd])+(?= {2}|$) */gm, "AGE ")
    .replace(/\bAGE +(?=[A-Z])/g, "AGE ");
