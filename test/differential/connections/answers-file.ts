export const answersFile = new URL("answers.json", import.meta.url).pathname;
