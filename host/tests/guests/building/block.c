
/* A list of named entries, built, looked into, and taken apart again. */
struct entry@B@ {
    long key;
    char name[32];
    struct entry@B@ *next;
};

static struct entry@B@ *push@B@(struct entry@B@ *list, long key)
{
    struct entry@B@ *entry = malloc(sizeof *entry);
    if (entry == NULL) {
        perror("malloc");
        exit(1);
    }
    entry->key = key;
    snprintf(entry->name, sizeof entry->name, "entry %ld of @B@", key);
    entry->next = list;
    return entry;
}

static const struct entry@B@ *find@B@(const struct entry@B@ *list, const char *name)
{
    for (; list != NULL; list = list->next) {
        if (strcmp(list->name, name) == 0)
            return list;
    }
    return NULL;
}

static int is_named@B@(const struct entry@B@ *entry)
{
    const char *at = entry->name;
    while (*at != '\0' && !isdigit((unsigned char)*at))
        at++;
    return strtol(at, NULL, 10) == entry->key;
}

static long drain@B@(struct entry@B@ *list)
{
    long sum = 0;
    while (list != NULL) {
        struct entry@B@ *next = list->next;
        if (is_named@B@(list))
            sum += list->key * (@B@ + 1);
        free(list);
        list = next;
    }
    return sum;
}

static long block@B@(long from)
{
    struct entry@B@ *list = NULL;
    for (long key = from; key < from + 4; key++)
        list = push@B@(list, key);
    char name[32];
    snprintf(name, sizeof name, "entry %ld of @B@", from);
    const struct entry@B@ *found = find@B@(list, name);
    long first = found == NULL ? 0 : found->key;
    return drain@B@(list) + first;
}
