import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ResourceDeclaration } from "../registry/declaration.ts";
import type { ServedResource } from "../registry/served-resource.ts";
import type { User } from "../request.ts";
import type { RequestSpan } from "../tracing/request-tracer.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** One write on its way to the store, after decoding and defaulting, before validation. */
export interface AdmissionAttributes {
  readonly operation: Operation;
  readonly declaration: ResourceDeclaration;
  /** What the client asked for, in its version; absent where a write is the server's own. */
  readonly resource?: ServedResource | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name: string;
  /** A draft that mutating plugins change in place; absent on DELETE. On a subresource with a body of its own kind
   *  (Binding, Eviction, TokenRequest, PodExecOptions) it is that body. */
  readonly object?: KubeObject | undefined;
  /** Frozen; absent on CREATE. */
  readonly oldObject?: KubeObject | undefined;
  /** What was given of CreateOptions, UpdateOptions or DeleteOptions, without kind and dry run. */
  readonly options: object;
  readonly user: User;
  readonly dryRun: boolean;
  readonly warnings: string[];
  readonly auditAnnotations: Record<string, string>;
  /** Absent: a write of the server's own, which nobody waits for. */
  readonly limits?: RequestLimits | undefined;
  /** Shared by both rounds of the mutating plugins of one write. */
  readonly reinvocation?: Reinvocation | undefined;
}

/** How long somebody waits for a request, and where it is traced. */
export interface RequestLimits {
  /** Aborted when the client has gone or the deadline has passed. */
  readonly signal: AbortSignal;
  /** By performance.now(); absent: none. */
  readonly deadline_ms?: number | undefined;
  readonly span?: RequestSpan | undefined;
}

/** A plugin that changes an object may ask that all mutating plugins look at it once more. */
export interface Reinvocation {
  round: 0 | 1;
  isWanted: boolean;
  /** What a plugin remembers of the first round, by its name. */
  readonly memory: Map<string, unknown>;
}

/** All mutating plugins run in the order they are registered, then all validating ones. Both refuse by throwing
 *  StatusError, usually forbidden(). */
export interface AdmissionPlugin {
  readonly name: string;
  /** The only resources that it looks at; absent: all. */
  readonly resources?: readonly Pick<ResourceRef, "group" | "plural">[] | undefined;
  /** Operations beside CREATE and UPDATE that `mutate` is called for. */
  readonly mutatesOn?: readonly Operation[] | undefined;
  /** Whether connections (exec, attach, port-forward, proxy) are shown to it. */
  readonly seesConnections?: boolean | undefined;
  /** Both give nothing where there is nothing to wait for: a plugin that looks at everything lets most of it pass. */
  mutate?(attributes: AdmissionAttributes): Promise<void> | undefined;
  /** What the storage of a kind forbids by itself: asked of what the mutating plugins have made, before the kind's own rules. */
  guard?(attributes: AdmissionAttributes): Promise<void> | undefined;
  validate?(attributes: AdmissionAttributes): Promise<void> | undefined;
}

const concerned = new WeakMap<readonly AdmissionPlugin[], WeakMap<ResourceDeclaration, readonly AdmissionPlugin[]>>();

/** Those that look at a resource, in their order: most plugins are about one kind, and most writes are of others. */
export function pluginsFor(
  plugins: readonly AdmissionPlugin[],
  declaration: ResourceDeclaration,
): readonly AdmissionPlugin[] {
  let byDeclaration = concerned.get(plugins);
  if (!byDeclaration) {
    byDeclaration = new WeakMap();
    concerned.set(plugins, byDeclaration);
  }
  let found = byDeclaration.get(declaration);
  if (!found) {
    const { group, plural } = declaration.ref;
    found = plugins.filter(
      ({ resources }) => !resources || resources.some((each) => each.group === group && each.plural === plural),
    );
    byDeclaration.set(declaration, found);
  }
  return found;
}
