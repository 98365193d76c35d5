// Everything on the page that is cut off, covered, missing, stretched or too small to read, as a list of sentences.
async smallest => {
    const faults = new Set();
    const settled = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const box = element => element.getBoundingClientRect();
    const name = element => (element.alt || element.textContent || element.className || '').trim().slice(0, 60);
    const shown = element => box(element).width > 0 && getComputedStyle(element).visibility !== 'hidden';

    const faultOf = async (picture, panel) => {
        try {
            await picture.decode();
        } catch {
            return 'does not load';
        }
        const drawn = box(picture);
        if (drawn.width < 1 || drawn.height < 1) return `${drawn.width} x ${drawn.height} pixels`;
        if (drawn.right > panel.right + 1 || drawn.left < panel.left - 1)
            return `${Math.round(drawn.width)} pixels wide in a panel of ${Math.round(panel.width)}`;
        const across = drawn.width / picture.naturalWidth, down = drawn.height / picture.naturalHeight;
        if (Math.abs(across / down - 1) > 0.03) return `stretched, ${(across / down).toFixed(2)} times as wide`;
        return across < smallest ? `shown at ${Math.round(100 * across)} % of its size` : '';
    };

    const isCut = text => text.clientWidth && text.scrollWidth > text.clientWidth + 1;
    const overlap = (one, other) => {
        const a = box(one), b = box(other);
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        return across > 2 && down > 2;
    };

    const outputs = [...document.querySelectorAll('.jp-OutputArea-output')];
    for (const [i, output] of outputs.entries()) {
        output.scrollIntoView({block: 'center'});  // what is off the window may have no size yet
        await settled();
        for (const picture of output.querySelectorAll('img')) {
            const fault = await faultOf(picture, box(output));
            if (fault) faults.add(`output ${i + 1}, picture "${name(picture)}": ${fault}`);
        }
        for (const widget of output.querySelectorAll('.figure-widget')) {
            const parts = [...widget.querySelectorAll('.lm-Widget:not(.widget-container)')].filter(shown);
            for (const part of parts) {
                const inside = [...part.querySelectorAll('.widget-label, .widget-readout, button')].filter(shown);
                for (const text of (part.matches('button') ? [part] : inside).filter(isCut))
                    faults.add(`output ${i + 1}, control "${name(part)}": "${name(text)}" is ${text.scrollWidth} pixels `
                        + `wide in ${text.clientWidth}`);
            }
            parts.forEach((one, j) => parts.slice(j + 1).filter(other => overlap(one, other)).forEach(other => {
                if (!one.contains(other) && !other.contains(one))
                    faults.add(`output ${i + 1}: "${name(one)}" lies over "${name(other)}"`);
            }));
        }
    }
    return [...faults];
}
