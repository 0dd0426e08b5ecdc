// SPDX-License-Identifier: Apache-2.0
//! The tables that come with us. Each is read when the first of its programs is met.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::Table;

/// A file of rules and the programs it speaks of, which a test compares with what is in it.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) programs: &'static str,
    table: OnceLock<Option<Table>>,
}

macro_rules! files {
    ($($name:literal: $programs:literal,)*) => {
        /// All of them.
        pub(super) static FILES: [File; count(&[$($name),*])] = [$(File {
            name: concat!($name, ".toml"),
            text: include_str!(concat!("data/", $name, ".toml")),
            programs: $programs,
            table: OnceLock::new(),
        }),*];
    };
}

const fn count(names: &[&str]) -> usize {
    names.len()
}

files! {
    "git": "git hg svn jj bzr fossil darcs p4 cvs sl svnadmin",
    "containers": "docker podman nerdctl docker.io docker-compose podman-compose buildah skopeo crane \
        oras regctl cosign trivy grype syft dive kaniko ko pack img hadolint ctr crictl lxc \
        incus nsenter-container multipass colima limactl vagrant machinectl lima minikube kind \
        k3d VBoxManage vboxmanage virsh qm pct proxmox orb",
    "kubernetes": "kubectl oc k kubecolor kubectl.kubernetes helm helm3 werf helmfile kustomize vcluster k0s k0sctl \
        tanzu tkgctl kluctl kapp ocm skaffold \
        tilt argocd flux istioctl linkerd kubeadm kops eksctl k3s rke talosctl clusterctl \
        kubeseal kubectx kubens velero cilium calicoctl stern k9s crossplane kustomize-sops \
        argo tkn kn devspace telepresence okteto garden acorn kubefed kompose rancher rosa",
    "infrastructure": "terraform tofu opentofu terragrunt terramate cdktf pulumi cdk sam serverless sls sst \
        amplify copilot chalice zappa architect claudia apex eb ecs-cli aws-nuke cloud-nuke \
        ansible ansible-playbook ansible-pull ansible-console ansible-vault sops age rage \
        ejson blackbox_cat blackbox_edit git-crypt transcrypt chamber envconsul doppler \
        infisical dotenv-vault dotenvx credstash teller berglas aws-vault saml2aws lpass pass \
        passage gopass op bw rbw keepassxc-cli bws dashlane dcli secret-tool keyring security \
        akeyless conjur step vault bao openbao consul nomad packer boundary waypoint salt \
        salt-call salt-ssh puppet chef-client knife chef bolt mco fab pyinfra capistrano cap \
        mina itamae cfengine rex",
    "aws": "aws awslocal aws2 s3cmd s5cmd mc s4cmd goofys minio-client",
    "gcp": "gcloud gsutil bq",
    "azure": "az azcopy azd func swa oci ibmcloud aliyun tccli hcloud doctl linode-cli linode vultr \
        vultr-cli scw exo civo openstack nova cinder glance neutron govc ovhcloud upctl \
        hetzner bx cf cloudfoundry upcloud",
    "forges": "gh glab hub tea lab bb gitea berg forgejo-cli jenkins-cli jenkins circleci travis \
        buildkite-agent bk drone woodpecker-cli gitlab-runner act concourse fly-ci spinnaker \
        spin buildkite tkn-ci teamcity argo-ci semaphore sem codefresh actions-runner",
    "packages": "semantic-release release-it np goreleaser npm pnpm yarn bun cnpm lerna nx-npm npx bunx pnpx uvx pipx pip uv poetry pdm rye hatch \
        pipenv conda mamba micromamba pixi easy_install virtualenv pyenv flit twine cargo \
        rustup cross gem bundle bundler go gofmt golangci-lint apt apt-get aptitude dnf yum \
        microdnf tdnf zypper apk brew port snap flatpak nala pkg pkgin pkg_add guix choco \
        scoop winget opkg swupd eopkg urpmi slackpkg mas pacman yay paru emerge xbps-install \
        xbps-remove nix-env pkgadd dpkg dpkg-deb rpm composer maven mvn mvnw gradle gradlew \
        mix hex rebar3 lein sbt ant stack cabal swift pod dart flutter pub deno opam luarocks \
        cpan cpanm conan vcpkg paket carthage fastlane nimble dub zig bazel buck2 pants ninja \
        meson cmake dotnet nuget",
    "platforms": "heroku fly flyctl vercel vc netlify ntl railway render wrangler wrangler2 firebase \
        supabase neonctl neon pscale turso planetscale eas expo ngrok cloudflared localtunnel \
        lt surge gatsby-cloud dokku scalingo clever platform upsun porter koyeb northflank \
        zeabur deta qovery convex appwrite nhost hasura contentful sanity shopify twilio \
        stripe algolia auth0 clerk okta sfdx sf salesforce appcenter gigalixir kamal mup \
        pm2-deploy fl0 space cyclic dply cleavr forge envoyer vapor laravel-cloud aptible \
        atlas mongocli sentry-cli datadog-ci launchdarkly ldcli snowsql databricks dbt",
    "databases": "psql pgcli cockroach yugabyte ysqlsh redshift-cli edb-psql usql mysql mariadb mycli \
        mysqlsh sqlite3 sqlite litecli duckdb libsql sqlite-utils sqlcmd mssql-cli osql isql \
        tsql sqlplus sql bteq clickhouse-client clickhouse-local clickhouse chsql presto trino \
        hive beeline impala-shell spark-sql athenacli cqlsh influx questdb vsql nzsql hdbsql \
        db2 gsql q ksql surreal dropdb dropuser pg_dropcluster pg_resetwal createdb createuser \
        initdb pg_isready pg_config pg_controldata reindexdb vacuumdb clusterdb pgbench \
        pg_verifybackup pg_waldump pg_checksums pg_test_fsync pg_dump pg_dumpall mysqldump \
        mariadb-dump mongodump mongoexport pg_basebackup mysqlpump mydumper xtrabackup \
        redis-dump cockroach-dump influxd-backup exp expdp bcp-out sqldump pg_restore \
        mongorestore mongoimport mysqlimport myloader impdp imp pg_ctl pg_ctlcluster \
        pg_upgrade pg_rewind pg_archivecleanup mysqladmin mariadb-admin \
        mysql_secure_installation cypher-shell arangosh mongosh mongo redis-cli valkey-cli keydb-cli etcdctl etcdutl \
        zkCli.sh zkcli zookeeper-shell memcached-tool memccat prisma knex sequelize \
        sequelize-cli typeorm typeorm-ts-node-commonjs mikro-orm drizzle-kit alembic flask \
        django-admin manage.py rails rake artisan flyway liquibase diesel sqlx goose dbmate \
        migrate migrate-mongo sea-orm-cli atlas-cli sqitch phinx doctrine bin/console console \
        yii wp drush symfony node-pg-migrate db-migrate graphile-migrate ecto aerich yoyo \
        piccolo tern bytebase skeema gh-ost pt-online-schema-change rambler refinery hanami \
        lapis craft typo3 magento bin/magento n98-magerun spark ace medusa strapi payload \
        directus",
    "backups": "restic borg borgmatic duplicity duplicati-cli kopia rustic tarsnap bacula bconsole \
        rdiff-backup rsnapshot attic bup wal-g wal-e pgbackrest barman duply backupninja \
        autorestic snapper timeshift tmutil zfs-auto-snapshot btrbk rclone gpg gpg2 ssh-add \
        ssh-keygen certbot acme.sh ssh-copy-id kafka-topics kafka-topics.sh \
        kafka-consumer-groups kafka-consumer-groups.sh kafka-configs kafka-configs.sh \
        kafka-acls kafka-acls.sh kafka-delete-records kafka-delete-records.sh \
        kafka-reassign-partitions kafka-reassign-partitions.sh kafka-leader-election \
        kafka-streams-application-reset rabbitmqctl rabbitmqadmin rabbitmq-plugins nats kcat \
        rpk pulsar-admin activemq mosquitto_ctrl temporal airflow prefect dagster celery \
        sidekiqctl superset flower faust",
}

/// The table that speaks of a program.
pub(super) fn table(program: &str) -> Option<&'static Table> {
    static INDEX: OnceLock<HashMap<&'static str, &'static File>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let names = FILES.iter().flat_map(|file| {
            let programs = file.programs.split_ascii_whitespace();
            programs.map(move |program| (program, file))
        });
        names.collect()
    });
    let file = index.get(program)?;
    let table = file
        .table
        .get_or_init(|| Table::unchecked(file.text, file.name).ok());
    table.as_ref()
}
