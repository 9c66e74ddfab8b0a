const fieldsOfModels = "the package that descriptions come from has none of fields that hold another model";

/** Commands whose answers differ from upstream's, with the reason. */
export const differences: Readonly<Record<string, string>> = {
  "71 top node board": "metrics are built in, so it is the board that is not known",
  "75 explain deployment.spec --recursive --output=plaintext-openapiv2": fieldsOfModels,
  "76 explain deployment.spec.strategy --recursive": fieldsOfModels,
  "86 auth can-i --list --as=nobody": "paths by which boards join and renew, and the page, are open to all",
};
