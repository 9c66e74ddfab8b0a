/** What the tests of installed operators share: a server with the controllers they need, their programs and their definitions. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { customResourceDefinitions } from "#shared/api/resources.ts";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { until } from "#shared/testing/until.ts";
import { garbageCollector } from "../../master/controllers/garbage-collector/garbage-collector.ts";
import { ControllerManager } from "../../master/controllers/manager.ts";
import { serviceAccountController } from "../../master/controllers/service-account.ts";
import { adminKubeconfig } from "../support/admin-kubeconfig.ts";
import { startSecuredServer } from "../support/secured-server.ts";

const cache = process.env["OPERATORS_CACHE"] ?? join(homedir(), ".cache", "bramble-operators");
const programOf = (name: string): string => join(cache, "bin", name);

/** False where test/operators/build.sh has not been run: tools/test.sh runs it, and says why where it cannot. */
export const canRun = (...names: readonly string[]): boolean => names.every((name) => existsSync(programOf(name)));

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** An object of an operator's kind; the fields are those that are looked at. */
export interface Custom extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>> & { readonly conditions?: readonly Condition[] };
}

export const customRef = (group: string, version: string, kind: string, plural: string): ResourceRef<Custom> => ({
  group,
  version,
  kind,
  plural,
  namespaced: true,
});

export interface RunningProgram {
  /** Resolves once it has written such a line; throws where it ends before. */
  hasSaid(text: string): Promise<void>;
  stop(): Promise<void>;
}

export interface OperatorHost {
  readonly admin: Client;
  /** Of somebody in system:masters. */
  readonly kubeconfig: string;
  /** Runs until it is stopped, or the host is. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): RunningProgram;
  /** Makes the definitions that a program comes with, and waits until they are served. */
  define(program: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startOperatorHost(): Promise<OperatorHost> {
  const server = await startSecuredServer({ customResources: true });
  const { admin } = server;
  const controllers = new ControllerManager({
    client: admin,
    clientFor: () => admin,
    controllers: [serviceAccountController],
    services: [garbageCollector(new ResourceMapper(admin))],
  });
  await controllers.start();
  const folder = mkdtempSync(join(tmpdir(), "operators-"));
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, await adminKubeconfig(server), { mode: 0o600 });
  const running: RunningProgram[] = [];
  return {
    admin,
    kubeconfig,
    run(program, args, env = {}) {
      const started = startProgram(programOf(program), args, env);
      running.push(started);
      return started;
    },
    define: (program) => define(admin, join(cache, "definitions", program)),
    async stop() {
      await Promise.all(running.map((each) => each.stop()));
      await controllers.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function startProgram(path: string, args: readonly string[], env: Readonly<Record<string, string>>): RunningProgram {
  const child = Bun.spawn([path, ...args], { env: { ...process.env, ...env }, stdout: "ignore", stderr: "pipe" });
  let said = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) said += decoder.decode(chunk, { stream: true });
  })();
  return {
    async hasSaid(text) {
      await until(`${path} says ${text}`, () => said.includes(text) || child.exitCode !== null, {
        tell: () => said.slice(-2000),
      });
      if (!said.includes(text)) throw new Error(`${path} has ended: ${said.slice(-2000)}`);
    },
    async stop() {
      child.kill();
      await Promise.all([child.exited, reading]);
    },
  };
}

async function define(admin: Client, folder: string): Promise<void> {
  const definitions = readdirSync(folder).flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), "utf8")).map((each) => each.toJS() as CustomResourceDefinition),
  );
  for (const definition of definitions) await admin.create(customResourceDefinitions, definition);
  for (const { spec } of definitions) {
    for (const { name, served } of spec.versions) {
      if (!served) continue;
      const path = `/apis/${spec.group}/${name}/${spec.names.plural}`;
      await until(`${path} is served`, () => found(admin.raw({ method: "GET", path })));
    }
  }
}

/** undefined for what is not there. */
export async function found<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return undefined;
    throw error;
  }
}

/** An object once its condition is so, as of the generation that the object has. */
export function untilCondition(
  client: Client,
  ref: ResourceRef<Custom>,
  key: { readonly namespace: string; readonly name: string },
  wanted: Partial<Condition>,
): Promise<Custom> {
  return until(`${ref.kind} ${key.name} has ${JSON.stringify(wanted)}`, async () => {
    const object = await found(client.get(ref, key));
    const condition = object?.status?.conditions?.find(({ type }) => type === wanted.type);
    const isSo =
      condition && Object.entries(wanted).every(([name, value]) => condition[name as keyof Condition] === value);
    const observed = (condition as { observedGeneration?: number } | undefined)?.observedGeneration;
    const isOfNow = observed === undefined || observed === object?.metadata.generation;
    return isSo && isOfNow ? object : undefined;
  });
}
