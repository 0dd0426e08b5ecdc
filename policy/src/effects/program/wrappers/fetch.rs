// SPDX-License-Identifier: Apache-2.0
//! Wrappers that fetch a package and run a program of it: `npx`, `uvx`, `pipx run`.

use super::super::{Call, Outcome, Run};
use super::{command, front, like, shell};
use crate::effects::word::Arg;
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// Packages that many projects run this way.
const KNOWN: &str = "
    eslint prettier tsc typescript jest vitest mocha ava nyc c8 webpack webpack-cli vite rollup esbuild
    parcel turbo nx lerna next nuxt astro svelte-kit gatsby remix ng angular vue nest react-scripts
    create-react-app create-vite create-next-app create-vue create-svelte create-astro create-expo-app
    create-t3-app degit serve http-server live-server json-server nodemon ts-node tsx concurrently rimraf
    mkdirp cpy-cli cross-env dotenv-cli npm-check-updates ncu npm-run-all depcheck knip madge license-checker
    playwright cypress puppeteer storybook sb prisma drizzle-kit typeorm sequelize-cli knex supabase
    firebase-tools firebase vercel netlify netlify-cli wrangler serverless sls cdk aws-cdk sst pulumi
    tailwindcss postcss-cli sass less stylelint husky lint-staged commitlint semantic-release
    standard-version release-it changeset typedoc jsdoc tsup swc babel biome oxlint dprint expo
    react-native eas-cli ionic cap electron electron-builder forge openapi-generator-cli swagger-cli
    redocly spectral graphql-codegen node-gyp node-pre-gyp pm2 markdownlint markdownlint-cli
    markdownlint-cli2 cspell svgo sharp-cli lighthouse lhci shadcn shadcn-ui shadcn-vue ampx
    ruff black mypy pytest flake8 isort pylint pyright basedpyright pre-commit cookiecutter copier twine
    poetry build tox nox httpie ansible ansible-lint pip-audit bandit safety mkdocs sphinx-build
    jupyter jupyterlab jupyter-lab ipython yt-dlp pyupgrade autopep8 yapf codespell vulture
    uv hatch pdm pipenv virtualenv pip-tools pip-compile pycln sqlfluff dbt djlint pdoc datamodel-codegen
    check-jsonschema zizmor detect-secrets reuse towncrier bump2version bump-my-version commitizen";

/// Whether it is a tool that many projects run this way.
pub(in super::super) fn is_known_tool(name: &str) -> bool {
    is_any(KNOWN, name)
}

/// What it would do, or nothing when the program or subcommand is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let node = "-p --package -c --call -w --workspace --prefix --node-options -C --dir --filter --registry \
        --userconfig --cache";
    let python = "--from --with --with-editable --with-requirements --python -p --spec --index-url --pip-args \
        --index --default-index --extra-index-url --overrides --constraints --directory -i --env-file";
    match call.name {
        "npx" | "pnpx" | "bunx" => Some(fetched(call, call.args, node)),
        "npm" | "pnpm" | "yarn" | "bun" => {
            let outer = front(
                call.args,
                "-C --dir --prefix --filter -F --cwd -w --workspace",
            );
            let (first, rest) = outer.rest.split_first()?;
            let runs = match call.name {
                "npm" => matches!(first.text.as_str(), "exec" | "x"),
                "bun" => first.text == "x" && call.args.len() == rest.len() + 1,
                _ => first.text == "dlx",
            };
            runs.then(|| fetched(call, rest, node))
        }
        "uvx" => Some(fetched(call, call.args, python)),
        "uv" => match front(call.args, python).rest {
            [tool, run, rest @ ..] if tool.text == "tool" && run.text == "run" => {
                Some(fetched(call, rest, python))
            }
            _ => None,
        },
        "pipx" => match front(call.args, "").rest {
            [run, rest @ ..] if run.text == "run" => Some(fetched(call, rest, python)),
            _ => None,
        },
        _ => None,
    }
}

fn fetched(call: &Call, args: &[Arg], valued: &str) -> Outcome {
    let front = front(args, valued);
    let mut out = Outcome::default();
    let given = |names: [&str; 4]| {
        let mut options = front.options.options.iter();
        let found = options.find(|(name, ..)| names.contains(&name.as_str()));
        found.and_then(|(_, arg, value)| (*arg).map(|arg| like(arg, value)))
    };
    let python = matches!(call.name, "uvx" | "uv" | "pipx");
    let package = if python {
        given(["--from", "--spec", "--from", "--spec"])
    } else {
        given(["-p", "--package", "-p", "--package"])
    };
    if let Some(text) = given(["-c", "--call", "-c", "--call"]).filter(|_| !python) {
        out.runs.push(shell(text, call.stdin.clone()));
    }
    // What follows the tool is the tool's; `npm exec tool -- --fix` has a `--` between.
    let mut words = front.rest.to_vec();
    if words.get(1).is_some_and(|word| word.text == "--") {
        words.remove(1);
    }
    let Some(first) = words.first_mut() else {
        if let Some(package) = &package {
            install(call, package, &mut out);
        }
        return out;
    };
    let tool = first.clone();
    if tool.text.starts_with(['.', '/']) {
        out.runs.push(Run::File {
            language: "",
            path: tool,
            arguments: words.split_off(1),
        });
        return out;
    }
    first.text = program(&tool.text).to_owned();
    install(call, package.as_ref().unwrap_or(&tool), &mut out);
    out.runs.extend(command(call, &words));
    out
}

/// The program that a package is run as: `ng` for `@angular/cli@17`.
fn program(package: &str) -> &str {
    let (scope, name) = match package
        .strip_prefix('@')
        .and_then(|rest| rest.split_once('/'))
    {
        Some((scope, name)) => (Some(scope), name),
        None => (None, package),
    };
    let name = name
        .split(['@', '[', '=', '>', '<', '~'])
        .next()
        .unwrap_or_default();
    match (scope, name) {
        (Some("angular"), "cli") => "ng",
        (Some("nestjs"), "cli") => "nest",
        (Some("biomejs"), name) | (Some(name), "cli") => name.trim_end_matches("js"),
        (_, name) => name.rsplit('/').next().unwrap_or_default(),
    }
}

/// The effect of fetching a package to run it.
fn install(call: &Call, package: &Arg, out: &mut Outcome) {
    let text = package.text.as_str();
    let scoped = text.starts_with('@') && text.matches('/').count() == 1;
    let elsewhere =
        text.contains("://") || text.contains("git+") || (text.contains('/') && !scoped);
    let (kind, harm, why) = if elsewhere {
        let why = "runs code from a place that is no package registry";
        (Kind::Execute, Harm::High, why)
    } else if package.is_unknown() {
        let why = "runs a package whose name is known only then";
        (Kind::Execute, Harm::Medium, why)
    } else if is_any(KNOWN, program(text)) || known_scope(text) {
        (
            Kind::Install,
            Harm::Low,
            "fetches a well-known tool unless it is there, and runs it",
        )
    } else {
        let why = "fetches a package from a registry unless it is there, and runs it";
        (Kind::Install, Harm::Medium, why)
    };
    let target = Target::Package(text.to_owned());
    out.add(
        Effect::new(kind, harm, target, format!("{}:fetch", call.name), why),
        package,
    );
}

/// Scopes of the npm registry that well-known projects own.
fn known_scope(package: &str) -> bool {
    let scopes = "angular nestjs vue babel biomejs storybook playwright openapitools expo ionic electron-forge \
        capacitor sveltejs astrojs nuxt remix-run tailwindcss prisma sentry aws-amplify aws-cdk redocly \
        stoplight graphql-codegen commitlint changesets typescript-eslint microsoft google cloudflare \
        react-native-community shopify modelcontextprotocol anthropic-ai openai";
    let scope = package
        .strip_prefix('@')
        .and_then(|rest| rest.split_once('/'));
    scope.is_some_and(|(scope, _)| is_any(scopes, scope))
}
