/** What is asked of a server without being kept, with metadata that nothing of it should have; and tables of subresources. */
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { held, namespace } from "./world.ts";

const authorization = "authorization.k8s.io/v1";
const authentication = "authentication.k8s.io/v1";
const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
const partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const resourceAttributes = { verb: "get", resource: "pods", namespace };

const post = (what: string, path: string, apiVersion: string, kind: string, more: Json): WireRequest => ({
  name: `reviewed ${kind}: ${what}`,
  method: "POST",
  path: `/apis/${apiVersion}/${path}`,
  body: { apiVersion, kind, ...more },
});

const metadatas: readonly Json[] = [
  { name: "x" },
  { namespace },
  { namespace: "other" },
  { generateName: "a" },
  { labels: { a: "b" } },
  { labels: { "a b": "c" } },
  { annotations: { a: "b" } },
  { managedFields: [] },
  { uid: "x" },
  { resourceVersion: "5" },
];
const reviews = metadatas.flatMap((metadata) => {
  const what = JSON.stringify(metadata);
  const subject = { metadata, spec: { user: "u", resourceAttributes } };
  return [
    post(what, "subjectaccessreviews", authorization, "SubjectAccessReview", subject),
    post(what, `namespaces/${namespace}/localsubjectaccessreviews`, authorization, "LocalSubjectAccessReview", subject),
    post(what, "selfsubjectaccessreviews", authorization, "SelfSubjectAccessReview", {
      metadata,
      spec: { resourceAttributes },
    }),
    post(what, "tokenreviews", authentication, "TokenReview", { metadata, spec: { token: "x" } }),
  ];
});

/** Of nobody's: which form they can be had in is settled before anybody looks. */
const subresources = [
  ...[...new Set(held.map(({ collection }) => collection))].flatMap((collection) => [
    `${collection}/nobody/status`,
    `${collection}/nobody/scale`,
  ]),
  ...["ephemeralcontainers", "resize"].map((name) => `/api/v1/namespaces/${namespace}/pods/nobody/${name}`),
  "/apis/certificates.k8s.io/v1/certificatesigningrequests/nobody/approval",
];
const forms = subresources.flatMap((path) =>
  [table, partial].map((accept) => ({
    name: `reviewed ${path} ${accept}`,
    method: "GET",
    path,
    headers: { accept },
  })),
);

export const reviewGroups: readonly WireGroup[] = [
  { name: "reviews with metadata", requests: reviews },
  { name: "forms of subresources", requests: forms },
];
