import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceDeclaration } from "../registry/declaration.ts";
import type { User } from "../request.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** One write on its way to the store, after decoding and defaulting, before validation. */
export interface AdmissionAttributes {
  readonly operation: Operation;
  readonly declaration: ResourceDeclaration;
  /** The version that the client asked in; the stored one where it is absent. */
  readonly version?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name: string;
  /** A draft that mutating plugins change in place; absent on DELETE. On a subresource with a body of its own kind
   *  (Binding, Eviction, TokenRequest, PodExecOptions) it is that body. */
  readonly object?: KubeObject | undefined;
  /** Frozen; absent on CREATE. */
  readonly oldObject?: KubeObject | undefined;
  /** CreateOptions, UpdateOptions, DeleteOptions… as sent. */
  readonly options: object;
  readonly user: User;
  readonly dryRun: boolean;
  readonly warnings: string[];
  readonly auditAnnotations: Record<string, string>;
}

/** All mutating plugins run in the order they are registered, then all validating ones. Both refuse by throwing
 *  StatusError, usually forbidden(). */
export interface AdmissionPlugin {
  readonly name: string;
  mutate?(attributes: AdmissionAttributes): Promise<void>;
  validate?(attributes: AdmissionAttributes): Promise<void>;
}
