import type { User, Verb } from "../request.ts";

/** What is asked of an authoriser: authorization.k8s.io ResourceAttributes or NonResourceAttributes. */
export interface Attributes {
  readonly user: User;
  readonly verb: Verb;
  readonly isResourceRequest: boolean;
  readonly path: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/**
 * no-opinion: this authoriser has nothing to say; the next is asked. When nobody has, the request is refused.
 * `error`: what kept it from deciding as it should; a request that is not allowed then fails rather than being forbidden.
 */
export interface Decision {
  readonly outcome: "allow" | "deny" | "no-opinion";
  readonly reason: string;
  readonly error?: string | undefined;
}

/** No promise where there is nothing to wait for: every request comes through here. */
export interface Authorizer {
  authorize(attributes: Attributes): Promise<Decision> | Decision;
}
