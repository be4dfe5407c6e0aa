/* Names of files, and the few lines of text that are read from them. */
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "infusion.h"
#include "system.h"

int join(char *text, size_t size, ...)
{
    va_list parts;
    const char *part;
    size_t used = 0;
    int fits = 1;
    va_start(parts, size);
    while (fits && (part = va_arg(parts, const char *)) != NULL) {
        size_t length = strlen(part);
        fits = length < size - used;
        if (fits)
            memcpy(text + used, part, length);
        used += fits ? length : 0;
    }
    va_end(parts);
    text[used] = 0;
    return fits ? 0 : -1;
}

int read_line(const char *path, char *line, size_t size)
{
    FILE *file = system_open(path, "rb");
    int found;
    if (!file)
        return -1;
    found = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (!found)
        return -1;
    line[strcspn(line, "\r\n")] = 0;
    return line[0] ? 0 : -1;
}

/* Where the last line of a text begins that is not empty; cuts the text behind it. */
static const char *cut_last_line(char *text)
{
    size_t length = strlen(text);
    char *start;
    while (length && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        text[--length] = 0;
    start = strrchr(text, '\n');
    return start ? start + 1 : text;
}

void last_line(const char *path, char *line, size_t size)
{
    char tail[2 * LINE_SIZE + 1];
    size_t length;
    FILE *file = system_open(path, "rb");
    line[0] = 0;
    if (!file)
        return;
    if (fseek(file, -2 * LINE_SIZE, SEEK_END) != 0)
        rewind(file); /* it is shorter */
    length = fread(tail, 1, sizeof tail - 1, file);
    fclose(file);
    tail[length] = 0;
    snprintf(line, size, "%s", cut_last_line(tail));
}

static int is_continued(const unsigned char *at, int bytes)
{
    int i;
    for (i = 1; i <= bytes; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return 1;
}

/* Bytes of the character that begins here; 0 where it is no UTF-8 (RFC 3629, section 4). */
static int character_length(const unsigned char *at)
{
    unsigned first = at[0];
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return is_continued(at, 1) ? 2 : 0;
    if (first >= 0xe0 && first < 0xf0 && is_continued(at, 2))
        return (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] >= 0xa0) ? 0 : 3;
    if (first >= 0xf0 && first < 0xf5 && is_continued(at, 3))
        return (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] >= 0x90) ? 0 : 4;
    return 0;
}

void make_printable(char *text)
{
    int length;
    for (; *text; text += length) {
        length = character_length((const unsigned char *)text);
        if (length == 0)
            *text = '?';
        else if ((unsigned char)*text < 0x20)
            *text = ' ';
        length = length ? length : 1;
    }
}

int temporary_name(const char *path, char *name, size_t size)
{
    /* Threads at work at the same time have stacks in different places. */
    int length = snprintf(name, size, "%s.%lu.%p.%lu.tmp", path, system_process(), (void *)&path,
                          (unsigned long)time(NULL));
    return length > 0 && (size_t)length < size ? 0 : -1;
}
