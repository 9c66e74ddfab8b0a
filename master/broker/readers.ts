import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { TokenReview } from "#shared/api/types/authentication-v1.generated.ts";
import type { SubjectAccessReview } from "#shared/api/types/authorization-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";

const tokenReviews: ResourceRef<TokenReview> = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  namespaced: false,
};
const subjectAccessReviews: ResourceRef<SubjectAccessReview> = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false,
};

/** Who may listen to what boards say: its name, or undefined for nobody. Rejects when the API cannot be asked. */
export type ReaderReview = (token: string) => Promise<string | undefined>;

/** A reader proves itself by a bearer token of the API and may what `get boards.bramble.dev` allows. */
export function reviewReaders(client: Client): ReaderReview {
  return async (token) => {
    const { status } = await client.create(tokenReviews, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      metadata: {},
      spec: { token },
    });
    const { username, uid, groups, extra } = status?.user ?? {};
    if (!status?.authenticated || username === undefined) return undefined;
    const access = await client.create(subjectAccessReviews, {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      metadata: {},
      spec: {
        user: username,
        ...(uid ? { uid } : {}),
        ...(groups ? { groups } : {}),
        ...(extra ? { extra } : {}),
        resourceAttributes: { group: "bramble.dev", version: "v1", resource: "boards", verb: "get" },
      },
    });
    return access.status?.allowed ? username : undefined;
  };
}
