/** For tests of authorizers. */
import type { User } from "../request.ts";
import type { Attributes } from "./authorizer.ts";

/** What a request for a resource asks for. @param what `pods`, `pods/log` or `deployments/scale@apps` */
export function resourceAttributes(user: User, verb: string, what: string, more: Partial<Attributes> = {}): Attributes {
  const [path = "", group = ""] = what.split("@");
  const [plural = "", subresource] = path.split("/");
  return {
    user,
    verb,
    isResourceRequest: true,
    path: "",
    group,
    version: "v1",
    resource: plural,
    ...(subresource ? { subresource } : {}),
    ...more,
  };
}
