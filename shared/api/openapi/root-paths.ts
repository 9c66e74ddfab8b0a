/** Paths that belong to no resource: which groups, versions and resources there are, the server's version, its keys. */
import { metaModel, publishedName } from "./models.ts";
import type { PathItem } from "./operation.ts";
import { capitalized, groupTag, groupWords, identifierOf, tagOf } from "./operation-names.ts";
import { objectMediaTypes } from "./operations.ts";
import { documentName } from "./published-resource.ts";

const json = ["application/json"];

interface Get {
  readonly tag: string;
  readonly operationId: string;
  readonly description: string;
  readonly consumes?: readonly string[];
  readonly produces: readonly string[];
  readonly answer?: string;
}

function getItem(document: string, { tag, ...operation }: Get): PathItem {
  return {
    path: `/${document}/`,
    tag,
    parameters: [],
    operations: [{ method: "get", parameters: [], codes: [200], ...operation }],
  };
}

const objects = { consumes: objectMediaTypes, produces: objectMediaTypes };

/** The list of a group version's resources. */
export function resourceListItem(groupVersion: { readonly group: string; readonly version: string }): PathItem {
  return getItem(documentName(groupVersion), {
    ...objects,
    tag: tagOf(groupVersion),
    operationId: `get${identifierOf(groupVersion)}APIResources`,
    description: "get available resources",
    answer: metaModel("APIResourceList"),
  });
}

function groupItem(group: string): PathItem {
  return getItem(`apis/${group}`, {
    ...objects,
    tag: groupTag(group),
    operationId: `get${groupWords(group).map(capitalized).join("")}APIGroup`,
    description: "get information of a group",
    answer: metaModel("APIGroup"),
  });
}

/** The only path of each document that has no resources, by the document's name. */
export function rootItems(groups: Iterable<string>): Map<string, PathItem> {
  const versions = { ...objects, description: "get available API versions" };
  const items = [
    getItem(".well-known/openid-configuration", {
      tag: "WellKnown",
      operationId: "getServiceAccountIssuerOpenIDConfiguration",
      description: "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
      produces: json,
    }),
    getItem("openid/v1/jwks", {
      tag: "openid",
      operationId: "getServiceAccountIssuerOpenIDKeyset",
      description: "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
      produces: ["application/jwk-set+json"],
    }),
    getItem("version", {
      tag: "version",
      operationId: "getCodeVersion",
      description: "get the version information for this server",
      consumes: json,
      produces: json,
      answer: publishedName("apimachinery.pkg.version.Info"),
    }),
    getItem("api", { ...versions, tag: "core", operationId: "getCoreAPIVersions", answer: metaModel("APIVersions") }),
    getItem("apis", { ...versions, tag: "apis", operationId: "getAPIVersions", answer: metaModel("APIGroupList") }),
    ...[...groups].filter((group) => group !== "").map(groupItem),
  ];
  return new Map(items.map((item) => [item.path.slice(1, -1), item]));
}
